-- The circle of an id or a name that an account may read, or null.
create or replace function circles.find_circle(viewer uuid, ref text) returns uuid
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select c.id from circles.circle c
    where (c.id = platform.uuid_of(ref) or c.name = ref) and circles.may_read_circle(viewer, c)
$$;
grant execute on function circles.find_circle(uuid, text) to gather_circles, gather_realtime;
