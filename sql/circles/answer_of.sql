-- The end of a conversation that was begun by `circles.ask`: {"status", "reason", "text", "usage", "agent"}; null while
-- somebody has still to speak there.
create or replace function circles.answer_of(conversation uuid) returns jsonb
language sql stable
as $$
    -- In a circle, the last one who has said something; elsewhere there is only one turn.
    select jsonb_build_object('status', t.status, 'reason', t.reason, 'usage', circles.usage_of(conversation),
        'agent', t.agent_id, 'text', coalesce(
            (select s.text from circles.step s
                where s.turn_id = t.id and s.kind = 'model' and s.status = 'succeeded' order by s.number desc limit 1),
            (select m.body from channels.message m where m.id = t.reply_id), ''))
    from circles.turn t
    where t.channel_id = conversation and not exists (
        select from circles.turn o where o.channel_id = conversation and o.finished_at is null)
    order by t.status = 'completed' and t.reply_id is not null desc, t.id desc limit 1
$$;
