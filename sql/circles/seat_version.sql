-- The version of a persona that an agent keeps: the one that its owner names; null: always the newest. Of somebody else's
-- persona it keeps the present one: who wrote it could otherwise give the agent tools that its owner never saw.
create or replace function circles.seat_version(owner uuid, persona uuid, named integer) returns integer
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select coalesce(named, case when p.owner_id <> owner then p.version end) from circles.persona p where p.id = persona
$$;
