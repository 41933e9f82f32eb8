-- The JSON of a message in events, which has what every reader of it sees.
create or replace function channels.published(message uuid) returns jsonb
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select channels.message_json(row(m.id, m.channel_id, m.seq,
        case when m.deleted_at is not null then 'deleted' when m.hidden_at is not null then 'hidden' else 'shown' end,
        case when s.seen then m.author_id end, case when s.seen then m.body end, case when s.seen then m.html end,
        null, m.reply_to, case when s.seen then m.client_id end, null, null, m.version, m.created_at, m.edited_at,
        m.locked_at is not null, null)::channels.readable, null)
        || case when m.visible_to is null then '{}' else jsonb_build_object('visible_to', m.visible_to) end
        || coalesce((select jsonb_build_object('turn', t.id) from circles.turn t
            where t.id = platform.uuid_of(m.client_id) and t.agent_id = m.author_id and t.channel_id = m.channel_id), '{}')
    from channels.message m
    cross join lateral (select m.deleted_at is null and m.hidden_at is null as seen) s
    where m.id = published.message
$$;
