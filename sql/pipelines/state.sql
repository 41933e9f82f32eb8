-- A run as its driver sees it: its steps, the signals that nobody has taken, and what has become due by now.
create or replace function pipelines.state(r pipelines.run) returns jsonb
language plpgsql stable
as $$
begin
    return jsonb_build_object(
        'epoch', r.epoch, 'news', r.news, 'input', r.input, 'account', r.account_id, 'pipeline', r.pipeline_id,
        'version', r.version, 'is_paused', r.is_paused, 'cancels', r.cancels, 'is_forced', r.is_forced, 'is_admitted', r.is_admitted, 'budget', r.budget,
        'used', r.used, 'stubs', r.stubs, 'is_late', coalesce(r.deadline_at <= clock_timestamp(), false),
        'steps', coalesce((select jsonb_agg(jsonb_build_object('path', s.path, 'status', s.status, 'effect', s.effect,
            'attempts', s.attempts, 'input', s.input, 'output', s.output, 'error', s.error, 'chosen', s.chosen, 'answer', s.answer,
            'is_due', coalesce(s.wake_at <= clock_timestamp(), false),
            'is_late', coalesce(s.deadline_at <= clock_timestamp(), false)) order by s.path)
            from pipelines.step s where s.run_id = r.id), '[]'),
        'signals', coalesce((select jsonb_agg(jsonb_build_object('id', g.id, 'name', g.name, 'data', g.data)
            order by g.created_at, g.id)
            from pipelines.signal g where g.run_id = r.id and g.taken_by is null), '[]'));
end
$$;
