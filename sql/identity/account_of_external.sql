-- The account of a person whom a provider vouches for. A verified address that an account here has proved too is
-- that account's; else it is a new one, with the name, or one like it that is free.
create or replace function identity.account_of_external(issuer text, subject text, email text, verified boolean, name text, client jsonb)
returns uuid
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    found_account uuid;
    wanted text := name;
begin
    -- People who come for the first time at the same moment take turns.
    perform pg_advisory_xact_lock(hashtextextended('provider ' || account_of_external.email, 1));
    select e.account_id into found_account from identity.external_identity e
    where e.issuer = account_of_external.issuer and e.subject = account_of_external.subject;
    if found then
        return (select a.id from identity.account a where a.id = found_account and a.status = 'active');
    end if;
    if verified then
        select p.account_id into found_account from identity.person p
        join identity.account a on a.id = p.account_id and a.status = 'active'
        where p.email = account_of_external.email and p.verified_at is not null;
    end if;
    if found_account is null then
        if exists (select from identity.account a where a.name = wanted) then
            wanted := left(wanted, 31) || '-' || substr(md5(account_of_external.issuer || ' ' || account_of_external.subject), 1, 8);
        end if;
        begin
            insert into identity.account as a (kind, name) values ('user', wanted) returning a.id into found_account;
        exception when check_violation or unique_violation then
            -- The name is reserved, or was taken a moment ago.
            insert into identity.account as a (kind, name)
            values ('user', 'user-' || replace(platform.uuid_v7()::text, '-', '')) returning a.id into found_account;
        end;
        insert into identity.person (account_id, email, verified_at)
        values (found_account, account_of_external.email, case when verified then now() end);
        perform audit.record(found_account, 'account.registered', found_account::text, true,
            client ->> 'address', client ->> 'request_id', '{"by": "provider"}');
    end if;
    insert into identity.external_identity (issuer, subject, account_id)
    values (account_of_external.issuer, account_of_external.subject, found_account);
    perform audit.record(found_account, 'provider.linked', account_of_external.issuer, true,
        client ->> 'address', client ->> 'request_id');
    return found_account;
end
$$;
grant execute on function identity.account_of_external to gather_people;
