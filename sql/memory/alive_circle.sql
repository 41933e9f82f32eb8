-- Whether a team exists.
create or replace function memory.alive_circle(id uuid) returns boolean
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select exists (select from identity.team t where t.id = alive_circle.id)
$$;
