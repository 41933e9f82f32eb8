-- Whether an account may read the topic `all:all` of all events, as administrators may.
create or replace function events.may_read_all(account uuid, id text) returns boolean
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select id = 'all' and account is not null and identity.allows(account, 'admin:all')
$$;
