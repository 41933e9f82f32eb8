-- Gives an account exactly these roles. Null if the account does not exist.
create or replace function identity.set_roles(account uuid, roles text[], actor uuid, address text, request_id text)
returns setof identity.account_view
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    before text[];
    was_admin boolean;
begin
    perform identity.lock_admins();
    before := identity.roles_of(account);
    was_admin := 'admin' = any(before);
    update identity.account a set generation = a.generation + 1, changed_at = clock_timestamp()
    where a.id = account and a.status <> 'deleted';
    if not found then
        return;
    end if;
    -- Agents that are kept for it with programs of their own may do no more than it.
    update identity.account a set generation = a.generation + 1, changed_at = clock_timestamp()
    from circles.seat s where s.owner_id = account and s.state = 'elsewhere' and a.id = s.account_id;
    delete from identity.account_role g where g.account_id = account and g.role <> all(set_roles.roles);
    insert into identity.account_role (account_id, role, granted_by)
    select account, role, actor from unnest(set_roles.roles) as role on conflict do nothing;
    if was_admin then
        perform identity.keep_an_admin();
    end if;
    perform audit.record(actor, 'roles.changed', account::text, true, set_roles.address, set_roles.request_id,
        jsonb_build_object('before', before, 'after', identity.roles_of(account)));
    return query select v.* from identity.account_view v where v.id = account;
end
$$;
grant execute on function identity.set_roles to gather_accounts;
