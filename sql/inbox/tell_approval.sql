-- Writes an event of an approval for the accounts that are asked, for the one that asked, and on its subject's topic.
-- The question is not in it, because more accounts may read the subject's topic than may see the approval.
create or replace function inbox.tell_approval(approval uuid, type text, actor uuid) returns void
language sql
as $$
    with event as materialized (select platform.uuid_v7() as id)
    insert into events.event (id, topic, type, data, subject, actor)
    select e.id, t.topic, tell_approval.type,
        jsonb_build_object('id', a.id, 'subject', a.subject, 'state', a.state, 'expires_at', a.expires_at),
        'approval:' || a.id, tell_approval.actor
    from event e, inbox.approval a, lateral (
        select 'account:' || d as topic from inbox.deciders(a.id) d
        union select 'account:' || a.asked_by where a.asked_by is not null
        union select a.subject) t
    where a.id = tell_approval.approval
$$;
