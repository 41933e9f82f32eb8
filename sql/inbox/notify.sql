-- Tells accounts something: an item in the inbox of each, in the caller's statement, and an event on its topic.
--   accounts  whom; those that are suspended, don't want that kind, or have blocked `by` are told nothing
--   kind      one of `inbox.kind`
--   title     what happened, in a few words
--   text      an excerpt; what is longer than 500 characters is cut
--   link      a path of this site
--   by        the account that did it, which is not told itself
--   subject   the object whose content `text` shows, such as `message:<id>`. Told once more of the same, an account has
--             one item still, which is new and unread again
--   topic     the topic that one has to be able to read to be shown it; who may not is told nothing
create or replace function inbox.notify(
    accounts uuid[],
    kind text,
    title text,
    text text,
    link text,
    by uuid default null,
    subject text default null,
    topic text default null
) returns void
language sql security definer set search_path = pg_catalog, pg_temp
as $$
    with told as (
        insert into inbox.item as i (account_id, kind, title, text, link, by, subject, topic)
        select a.id, notify.kind, left(notify.title, 200), left(coalesce(notify.text, ''), 500), notify.link,
            notify.by, notify.subject, notify.topic
        from identity.account a
        where a.id = any (notify.accounts) and a.status = 'active' and a.id is distinct from notify.by
        and not exists (select from inbox.setting s where s.account_id = a.id and s.kind = notify.kind and not s.inbox)
        and not inbox.is_blocked(a.id, notify.by)
        and (notify.topic is null or events.may_read(a.id, notify.topic))
        -- Always in this order: others tell them too.
        order by a.id
        on conflict (account_id, kind, subject) where subject is not null do update
        set id = excluded.id, title = excluded.title, text = excluded.text, link = excluded.link, by = excluded.by,
            topic = excluded.topic, read_at = null, archived_at = null, created_at = excluded.created_at
        returning i.*
    )
    insert into events.event (id, topic, type, data, subject, actor)
    select platform.uuid_v7(), 'account:' || t.account_id, 'inbox.created',
        jsonb_build_object('id', t.id, 'kind', t.kind, 'title', t.title, 'text', t.text, 'link', t.link,
            'by', t.by, 'created_at', t.created_at),
        inbox.event_subject(t), t.by
    from told t
$$;
