-- The accounts that an account has blocked or muted, of whose events it is told nothing.
create or replace function events.shunned(viewer uuid) returns uuid[]
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select social.shunned(viewer)
$$;
grant execute on function events.shunned(uuid) to gather_events, gather_realtime;
