-- A message as an account may read it, or null.
create or replace function channels.seen(viewer uuid, message uuid) returns jsonb
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select channels.message_json(m, viewer) from channels.readable_message(viewer) m where m.id = seen.message
$$;
