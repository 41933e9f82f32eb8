-- A turn, and those that asked for it, one for the other.
create or replace function circles.askers_of(turn uuid) returns setof circles.turn
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    with recursive chain as (
        select x.* from circles.turn x where x.id = askers_of.turn
        union all
        select x.* from chain c join circles.turn x on x.id = c.parent_id)
    select c.* from chain c
$$;
