-- The account of an id or a name, or null. One that has left is only found by its id.
create or replace function social.account_of(ref text) returns uuid
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select a.id from identity.account a
    where a.id = platform.uuid_of(ref) or (a.name = ref and a.status <> 'deleted')
$$;
grant execute on function social.account_of(text) to gather_social;
