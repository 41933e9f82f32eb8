-- What the receipt of a turn says. What was given and answered is replaced by digests before it is signed. The
-- first steps of a fork, up to `after_step`, are those of the turn in `forked_from`: what they used is said there.
create or replace function circles.receipt_of(t circles.turn) returns jsonb
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select (circles.turn_json(t) - array['id', 'partial', 'job', 'steps', 'agent', 'waiting_for', 'tainted']
            - case when t.forked_from is null then 'forked_from' else '' end)
        || jsonb_build_object('turn', t.id, 'agent', t.agent_id, 'reply_sha256', t.reply_digest, 'steps', (
            select coalesce(jsonb_agg(jsonb_build_object('number', s.number, 'kind', s.kind, 'status', s.status,
                'name', s.name, 'of_step', s.of_step, 'call', s.call, 'arguments', s.arguments, 'text', s.text,
                'calls', s.calls, 'tainted', s.tainted, 'receipt', s.receipt,
                'usage', jsonb_build_object('input_tokens', s.input_tokens, 'output_tokens', s.output_tokens),
                'approval', case when s.approval_id is not null then
                    jsonb_build_object('id', s.approval_id, 'digest', s.approval_digest) end,
                'begun_at', s.begun_at, 'ended_at', s.ended_at) order by s.number), '[]')
            from circles.step s where s.turn_id = t.id))
$$;
grant execute on function circles.receipt_of(circles.turn) to gather_circles;
