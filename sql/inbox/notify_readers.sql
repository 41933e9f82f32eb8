-- As `inbox.notify`, about something that not everybody may read: only accounts that may read the topic are told,
-- and they see the item as long as they may.
create or replace function inbox.notify_readers(
    topic text,
    accounts uuid[],
    kind text,
    title text,
    text text,
    link text,
    by uuid default null,
    subject text default null
) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
begin
    with told as (
        insert into inbox.item as i (account_id, kind, title, text, link, by, subject, topic)
        select a.id, notify_readers.kind, left(notify_readers.title, 200), left(coalesce(notify_readers.text, ''), 500), notify_readers.link,
            notify_readers.by, notify_readers.subject, notify_readers.topic
        from identity.account a
        where a.id = any (notify_readers.accounts) and a.status = 'active' and a.id is distinct from notify_readers.by
        and not exists (select from inbox.setting s where s.account_id = a.id and s.kind = notify_readers.kind and not s.inbox)
        and not social.shuns(a.id, notify_readers.by)
        and (notify_readers.topic is null or events.may_read(a.id, notify_readers.topic))
        -- The order is fixed, since others notify them too.
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
    from told t;
end
$$;
