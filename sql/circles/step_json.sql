-- The JSON of a step: with what was given and answered if it is `whole`.
create or replace function circles.step_json(s circles.step, whole boolean) returns jsonb
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select jsonb_build_object('number', s.number, 'kind', s.kind, 'status', s.status, 'name', s.name,
        'of_step', s.of_step, 'call', s.call, 'tainted', s.tainted, 'approval', s.approval_id, 'receipt', s.receipt,
        'usage', jsonb_build_object('input_tokens', s.input_tokens, 'output_tokens', s.output_tokens),
        'begun_at', s.begun_at, 'ended_at', s.ended_at)
        || case when whole then jsonb_build_object('arguments', s.arguments, 'result', case s.kind
            when 'model' then jsonb_build_object('text', coalesce(s.text, ''), 'calls', coalesce(s.calls, '[]'))
            else to_jsonb(s.text) end) else '{}' end
$$;
grant execute on function circles.step_json(circles.step, boolean) to gather_circles;
