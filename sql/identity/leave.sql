-- Lets an account leave, and every registered schema forget it. Content that others rely on stays under a neutral name;
-- personal data goes. False if the account does not exist or has left.
create or replace function identity.leave(account uuid, client jsonb) returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    was_admin boolean;
    leaver text;
begin
    perform identity.lock_admins();
    was_admin := 'admin' = any(identity.roles_of(account));
    -- The order is fixed, since others change them too.
    perform from identity.team t where t.id in (select m.team_id from identity.team_member m where m.account_id = account)
    order by t.id for update;
    perform from identity.account a where a.id = account and a.status <> 'deleted' for update;
    if not found then
        return false;
    end if;
    -- Identity comes first, so that other schemas already see an account that has left.
    for leaver in select l.schema from platform.leaver l order by l.schema <> 'identity', l.schema loop
        execute format('select %I.forget_account($1)', leaver) using account;
    end loop;
    if was_admin then
        perform identity.keep_an_admin();
    end if;
    perform audit.record(account, 'account.deleted', account::text, true, client ->> 'address', client ->> 'request_id');
    return true;
end
$$;
grant execute on function identity.leave to gather_people;
