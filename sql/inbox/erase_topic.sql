-- Removes the items about a deleted topic from inboxes, and from the events about them.
create or replace function inbox.erase_topic(topic text) returns void
language sql security definer set search_path = pg_catalog, pg_temp
as $$
    select inbox.remove(array(select i.id from inbox.item i where i.topic = erase_topic.topic))
$$;
