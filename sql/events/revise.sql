-- Brings an edit to earlier events of objects, whose data takes over the members of `data`.
create or replace function events.revise(data jsonb, variadic subjects text[]) returns void
language sql security definer set search_path = pg_catalog, pg_temp
as $$
    update events.event e set data = e.data || revise.data where e.subject = any (revise.subjects)
$$;
