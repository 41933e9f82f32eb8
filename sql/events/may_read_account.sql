-- Whether an account may read the topic of an account: its own, or, as an administrator, any.
create or replace function events.may_read_account(account uuid, id text) returns boolean
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select account is not null and (id = account::text or identity.allows(account, 'admin:all'))
$$;
