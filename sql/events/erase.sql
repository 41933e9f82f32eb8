-- Removes deleted objects from earlier events, whose data keeps only the object's id.
create or replace function events.erase(variadic subjects text[]) returns void
language sql security definer set search_path = pg_catalog, pg_temp
as $$
    update events.event e
    set data = jsonb_build_object('id', split_part(e.subject, ':', 2), 'deleted', true)
    where e.subject = any (erase.subjects)
$$;
