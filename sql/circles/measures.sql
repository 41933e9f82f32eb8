-- The numbers about turns, for the metrics of workers.
create or replace function circles.measures() returns setof jobs.measure
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select 'gather_turns_unfinished', 'Turns of agents that have not ended, by status.', false, 'status', s,
        (select count(*) from circles.turn t where t.finished_at is null and t.status = s)::double precision
    from unnest(array['queued', 'running', 'waiting']) s
    union all
    select 'gather_turns_ended_lately', 'Turns of agents that ended within the last five minutes, by status.', false, 'status', s,
        (select count(*) from circles.turn t
            where t.finished_at > now() - interval '5 minutes' and t.status = s)::double precision
    from unnest(array['completed', 'failed', 'cancelled', 'limited']) s
    union all
    select 'gather_turns_limited_lately', 'Turns of agents that met a limit or failed within the last five minutes, by reason.',
        false, 'reason', t.reason, count(*)::double precision
    from circles.turn t
    where t.finished_at > now() - interval '5 minutes' and t.reason is not null and t.status in ('failed', 'limited')
    group by t.reason
    union all
    select 'gather_turn_step_seconds_lately', 'Mean duration of the steps of turns that ended within the last five minutes, by kind.',
        false, 'kind', s.kind, avg(extract(epoch from s.ended_at - s.begun_at))::double precision
    from circles.turn t join circles.step s on s.turn_id = t.id and s.begun_at is not null
        and s.number > coalesce(t.forked_after, 0)
    where t.finished_at > now() - interval '5 minutes' group by s.kind
    union all
    select 'gather_turn_first_words_seconds_lately',
        'Mean time until the first words of a model, in turns that ended within the last five minutes.', false, null, null,
        coalesce((select avg(extract(epoch from s.spoke_at - s.begun_at))
            from circles.turn t join circles.step s on s.turn_id = t.id and s.spoke_at is not null
            where t.finished_at > now() - interval '5 minutes'), 0)::double precision
    union all
    select 'gather_turns_spent_microusd_lately',
        'The cost of models in turns that ended within the last five minutes, in millionths of a dollar.', false, null, null,
        coalesce((select sum(c.cost_microusd) from circles.turn t join llm.call c on c.parent = 'turn:' || t.id
            where t.finished_at > now() - interval '5 minutes'), 0)::double precision
    union all
    select 'gather_turns_oldest_queued_seconds', 'Age of the oldest turn that waits for a worker.', false, null, null,
        coalesce((select extract(epoch from now() - min(t.created_at)) from circles.turn t
            where t.finished_at is null and t.status = 'queued' and t.job_id is not null), 0)::double precision
$$;
