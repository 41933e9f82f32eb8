-- The active account of an id or a name, or null.
create or replace function circles.account_of(ref text) returns uuid
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select a.id from identity.account a
    where a.status = 'active' and (a.id = platform.uuid_of(ref) or a.name = ref)
$$;
grant execute on function circles.account_of(text) to gather_circles;
