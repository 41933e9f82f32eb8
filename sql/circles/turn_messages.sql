-- The last messages of a turn's conversation after a number, the eldest first, as its agent may read them: the channels'
-- one view decides.
create or replace function circles.turn_messages(turn uuid, after bigint) returns jsonb
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select coalesce(jsonb_agg(jsonb_build_object('seq', m.seq, 'author', m.author_id, 'name', a.name, 'body',
        -- A prompt may be longer than a message.
        case when m.seq = 1 then coalesce(v.task ->> 'prompt', m.body) else m.body end,
        'is_owner', m.author_id = s.owner_id, 'is_whisper', w.visible_to is not null) order by m.seq), '[]')
    from circles.turn t join circles.seat s on s.account_id = t.agent_id
    cross join lateral (
        select r.* from channels.readable_message(t.agent_id) r
        where r.channel_id = t.channel_id and r.seq > turn_messages.after and r.state = 'shown' order by r.seq desc limit 200) m
    left join circles.conversation v on v.channel_id = t.channel_id
    join channels.message w on w.id = m.id
    join identity.account a on a.id = m.author_id
    where t.id = turn
$$;
grant execute on function circles.turn_messages(uuid, bigint) to gather_agent_turn;
