-- Whether the agent and the conversation of such notes exist.
create or replace function memory.alive_notes(id uuid) returns boolean
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select exists (select from circles.notebook n where n.id = alive_notes.id)
$$;
