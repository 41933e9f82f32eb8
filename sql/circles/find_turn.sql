-- A turn that an account may see, or no row.
create or replace function circles.find_turn(viewer uuid, turn uuid) returns setof circles.turn
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select t.* from circles.turn t where t.id = turn and circles.may_read_turn(viewer, t)
$$;
grant execute on function circles.find_turn(uuid, uuid) to gather_circles;
