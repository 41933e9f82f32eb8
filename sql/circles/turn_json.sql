-- The JSON of a turn. What it used is what the calls of models say that it made.
create or replace function circles.turn_json(t circles.turn) returns jsonb
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select jsonb_build_object('id', t.id, 'conversation', t.channel_id, 'circle', t.circle_id,
        'agent', circles.account_json(t.agent_id), 'persona', case when t.persona_id is not null then
            jsonb_build_object('id', t.persona_id, 'version', t.persona_version, 'digest', t.persona_digest) end,
        'cause', t.cause_id, 'status', t.status, 'reason', t.reason, 'waiting_for', t.waiting_for, 'hops', t.hops,
        'steps', (select count(*) from circles.step s where s.turn_id = t.id),
        'usage', (select jsonb_build_object('input_tokens', coalesce(sum(c.input_tokens), 0),
                'output_tokens', coalesce(sum(c.output_tokens), 0), 'cost_microusd', coalesce(sum(c.cost_microusd), 0))
            from llm.call c where c.parent = 'turn:' || t.id),
        'tainted', t.tainted, 'partial', t.partial, 'reply', t.reply_id, 'forked_from', case when t.forked_from is not null then
            jsonb_build_object('turn', t.forked_from, 'after_step', t.forked_after) end, 'job', t.job_id, 'created_at', t.created_at,
        'started_at', t.started_at, 'finished_at', t.finished_at)
$$;
grant execute on function circles.turn_json(circles.turn) to gather_circles;
