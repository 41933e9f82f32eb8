-- The account of an id, whatever its status, or the active account of a name; null: there is none.
create or replace function circles.named(ref text) returns uuid
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select coalesce(platform.uuid_of(ref), circles.account_of(ref))
$$;
grant execute on function circles.named(text) to gather_circles;
