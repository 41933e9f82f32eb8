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
    select 'gather_turns_oldest_queued_seconds', 'Age of the oldest turn that waits for a worker.', false, null, null,
        coalesce((select extract(epoch from now() - min(t.created_at)) from circles.turn t
            where t.finished_at is null and t.status = 'queued' and t.job_id is not null), 0)::double precision
$$;
