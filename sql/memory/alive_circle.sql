-- Whether a team or a circle exists.
create or replace function memory.alive_circle(id uuid) returns boolean
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select exists (select from identity.team t where t.id = alive_circle.id)
        or exists (select from circles.circle c where c.id = alive_circle.id)
$$;
