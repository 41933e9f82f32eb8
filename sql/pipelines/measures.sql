-- The measures of pipelines, in the form of `jobs.measures`.
create or replace function pipelines.measures() returns setof jobs.measure
language sql stable
as $$
    select 'gather_pipeline_runs_total', 'Runs of pipelines that have ended, by status.', true, 'status', r.status,
        coalesce(sum(c.count), 0)::double precision
    from unnest(array['succeeded', 'failed', 'cancelled', 'timed_out']) r (status)
    left join pipelines.ended c on c.what = 'run' and c.status = r.status
    group by r.status
    union all
    select 'gather_pipeline_steps_total', 'Steps of ended runs, by status.', true, 'status', r.status,
        coalesce(sum(c.count), 0)::double precision
    from unnest(array['succeeded', 'failed', 'skipped', 'cancelled', 'timed_out']) r (status)
    left join pipelines.ended c on c.what = 'step' and c.status = r.status
    group by r.status
    union all
    select 'gather_schedule_firings_total', 'Firings of schedules that have ended, by status.', true, 'status', r.status,
        coalesce(sum(c.count), 0)::double precision
    from unnest(array['succeeded', 'failed', 'cancelled', 'skipped', 'missed']) r (status)
    left join pipelines.ended c on c.what = 'firing' and c.status = r.status
    group by r.status
    union all
    select 'gather_schedule_late_seconds', 'For how long the schedule has been due that is due the longest.', false, null,
        null, greatest(0, coalesce(extract(epoch from clock_timestamp() - (select min(s.next_at) from pipelines.schedule s
            where s.next_at is not null and s.paused is null)), 0))::double precision
    union all
    select 'gather_pipeline_runs_active', 'Runs of pipelines that have not ended.', false, null, null,
        count(*)::double precision
    from pipelines.run r where r.finished_at is null
    union all
    -- Also those whose worker has been silent for half of its lease, and those whose job waits for a worker for a minute.
    select 'gather_pipeline_runs_stalled', 'Runs of pipelines that nobody drives although something is to be done.', false, null,
        null, count(*)::double precision
    from pipelines.run r left join jobs.job j on j.id = r.job_id
    where r.finished_at is null and case
        when r.job_id is null then r.status not in ('waiting', 'paused', 'cancelling')
        when j.status = 'running' then not exists (
            select from graphile_worker._private_workers w where w.id = j.worker and w.last_heartbeat_at
                > clock_timestamp() - coalesce((w.metadata ->> 'lease_ms')::bigint, 15000) / 2 * interval '1 millisecond')
        else j.id is null or j.finished_at is not null or j.run_at < clock_timestamp() - interval '1 minute' end
    union all
    select 'gather_pipeline_runs_swept_total', 'Runs of pipelines that the sweep has put back to work.', true, null, null,
        coalesce(sum(c.count), 0)::double precision
    from pipelines.ended c where c.what = 'swept'
    union all
    select 'gather_pipeline_steps_uncertain', 'Steps of which nobody knows whether their request arrived.', false, null,
        null, count(*)::double precision
    from pipelines.step s where s.status = 'uncertain'
    union all
    select 'gather_pipeline_breakers_open', 'Breakers of nodes that hold requests back.', false, null, null,
        count(*)::double precision
    from pipelines.breaker b where b.status <> 'closed'
$$;
