-- The last messages of a turn's conversation after a number, the eldest first, as its agent may read them: the channels'
-- one view decides. They are looked up one by one from the newest on, so that a long conversation costs no more than a short
-- one: the planner can't know how many of them an agent may read, and would sort them all.
create or replace function circles.turn_messages(turn uuid, after bigint) returns jsonb
language plpgsql stable security definer set search_path = pg_catalog, pg_temp
as $$
declare
    t circles.turn := (select x from circles.turn x where x.id = turn);
    owner uuid := (select s.owner_id from circles.seat s where s.account_id = t.agent_id);
    prompt text := (select v.task ->> 'prompt' from circles.conversation v where v.channel_id = t.channel_id);
begin
    return (
        with recursive walk (seq) as (
            select c.last_seq from channels.channel c where c.id = t.channel_id and c.last_seq > turn_messages.after
            union all
            select w.seq - 1 from walk w where w.seq - 1 > turn_messages.after)
        select coalesce(jsonb_agg(jsonb_build_object('seq', m.seq, 'author', m.author_id, 'name', a.name, 'body',
            -- A prompt may be longer than a message.
            case when m.seq = 1 then coalesce(prompt, m.body) else m.body end,
            'is_owner', m.author_id = owner, 'is_whisper', m.is_whisper) order by m.seq), '[]')
        from (
            select r.seq, r.author_id, r.body, (
                select x.visible_to is not null from channels.message x where x.id = r.id) as is_whisper
            from walk w cross join lateral (
                select y.* from channels.readable_message(t.agent_id) y
                where y.channel_id = t.channel_id and y.seq = w.seq and y.state = 'shown' offset 0) r
            limit 200) m
        join identity.account a on a.id = m.author_id);
end
$$;
grant execute on function circles.turn_messages(uuid, bigint) to gather_agent_turn;
