-- An account reads its own topic; an administrator reads everybody's.
create or replace function events.may_read_account(account uuid, id text) returns boolean
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select account is not null and (id = account::text or identity.allows(account, 'admin:all'))
$$;
