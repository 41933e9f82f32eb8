-- Removes a deleted topic's objects from its earlier events, whose data keeps only the object's id.
create or replace function events.erase_topic(topic text) returns void
language sql security definer set search_path = pg_catalog, pg_temp
as $$
    update events.event e
    set data = jsonb_build_object('id', split_part(e.subject, ':', 2), 'deleted', true)
    where e.topic = erase_topic.topic and e.subject is not null
$$;
