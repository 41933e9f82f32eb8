-- The subject of the events that carry an item: everything of one kind about one object for one account. It is not that
-- of the object itself, because those events carry the item, which has other members.
create or replace function inbox.event_subject(i inbox.item) returns text
language sql immutable
as $$
    select 'item:' || (case when i.subject is null then i.id
        else md5(i.account_id::text || '/' || i.kind || '/' || i.subject)::uuid end)::text
$$;
