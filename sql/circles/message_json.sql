-- The JSON of a message of a conversation as an account may read it, or null.
create or replace function circles.message_json(viewer uuid, message uuid) returns jsonb
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select jsonb_build_object('id', m.id, 'conversation', m.channel_id, 'seq', m.seq,
        'author', circles.account_json(m.author_id), 'turn', t.id, 'body', m.body, 'html', m.html,
        'to', (select coalesce(jsonb_agg(circles.account_json(a) order by a), '[]') from unnest(m.mentions) a),
        'visible_to', (select jsonb_agg(circles.account_json(a) order by a)
            from channels.message w, unnest(w.visible_to) a where w.id = m.id),
        'reply_to', m.reply_to, 'client_id', m.client_id, 'hops', coalesce(t.hops + 1, 0), 'created_at', m.created_at,
        'edited_at', m.edited_at, 'deleted', m.state = 'deleted')
    from channels.readable_message(viewer) m
    left join circles.turn t on t.id = platform.uuid_of(m.client_id) and t.agent_id = m.author_id
        and t.channel_id = m.channel_id
    where m.id = message_json.message
$$;
grant execute on function circles.message_json(uuid, uuid) to gather_circles;
