-- Whether a channel exists.
create or replace function memory.alive_conversation(id uuid) returns boolean
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select exists (select from channels.channel c where c.id = alive_conversation.id)
$$;
