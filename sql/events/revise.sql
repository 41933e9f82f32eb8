-- Brings an edit to earlier events, whose data takes over the members of `data`.
create or replace function events.revise(subject text, data jsonb) returns void
language sql security definer set search_path = pg_catalog, pg_temp
as $$
    update events.event e set data = e.data || revise.data where e.subject = revise.subject
$$;
