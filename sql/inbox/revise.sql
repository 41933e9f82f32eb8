-- Brings an edit to inboxes: the items about an object, and the events about them, show the new text.
-- No account is notified again.
create or replace function inbox.revise(subject text, text text) returns void
language sql security definer set search_path = pg_catalog, pg_temp
as $$
    select events.revise(jsonb_build_object('text', left(revise.text, 500)), variadic array(
        select distinct inbox.event_subject(i) from inbox.item i where i.subject = revise.subject));
    with changed as (
        update inbox.item i set text = left(revise.text, 500) where i.subject = revise.subject
        returning i.*
    )
    insert into events.event (id, topic, type, data, subject)
    select platform.uuid_v7(), 'account:' || c.account_id, 'inbox.updated',
        jsonb_build_object('id', c.id, 'text', c.text), inbox.event_subject(c)
    from changed c
$$;
