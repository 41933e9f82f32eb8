-- The subject of the events that carry an item. It is not that of the object that the item is about: what those events
-- carry is the item, which has other members.
create or replace function inbox.event_subject(i inbox.item) returns text
language sql immutable
as $$
    select 'item:' || coalesce(replace(i.subject, ':', '-'), i.id::text)
$$;
