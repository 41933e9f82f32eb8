-- Ends attempts. `outcomes` is [{"id", "queue_id", "attempt", "outcome", "result", "error",
-- "delay_ms"}], with the outcomes succeeded, failed (again after the delay, while attempts are left),
-- dead, cancelled, and returned (it never happened: run it again at once).
--
-- Only the attempt that runs can be ended, by its number: a worker that was taken for dead finds that
-- its jobs are at another one, or over. For those nothing happens, and they are not in the answer.
create or replace function jobs.finish(worker text, outcomes jsonb) returns setof uuid
language plpgsql security definer set search_path = pg_catalog, pg_temp set enable_seqscan = off
as $$
declare
    done uuid[];
begin
    -- Unlike other writes of a worker, this one waits for the disk: see the worker's role.
    perform set_config('synchronous_commit', 'on', true);
    with given as (
        select o.*, coalesce(o.delay_ms, 0) * interval '1 millisecond' as delay
        from jsonb_to_recordset(outcomes) as o (id uuid, queue_id bigint, attempt integer,
            outcome text, result jsonb, error text, delay_ms bigint)
    ), ended as (
        update jobs.job j
        set status = jobs.next_status(o.outcome, j),
            attempts = j.attempts - (o.outcome = 'returned')::integer,
            percent = case o.outcome when 'succeeded' then 100 when 'returned' then 0 else j.percent end,
            result = o.result,
            error = o.error,
            run_at = case o.outcome when 'failed' then now() + o.delay else j.run_at end,
            queue_id = case when jobs.next_status(o.outcome, j) in ('failed', 'queued') then j.queue_id end,
            finished_at = case when jobs.next_status(o.outcome, j) not in ('failed', 'queued')
                then clock_timestamp() end
        from given o
        where j.id = o.id and j.queue_id = o.queue_id and j.status = 'running' and j.attempts = o.attempt
        and j.worker = finish.worker
        returning j.id, j.status, j.started_at, o.queue_id, o.attempt, o.error, o.delay
    ), noted as (
        insert into jobs.attempt (job_id, number, worker, started_at, outcome, error)
        select e.id, e.attempt, finish.worker, e.started_at, 'failed', coalesce(e.error, '')
        from ended e where e.status in ('failed', 'dead')
        on conflict do nothing
    ), dropped as (
        delete from graphile_worker._private_jobs q using ended e
        where q.id = e.queue_id and e.status not in ('failed', 'queued')
        returning q.job_queue_id
    ), again as (
        update graphile_worker._private_jobs q
        set locked_by = null, locked_at = null, updated_at = now(), last_error = e.error,
            run_at = case e.status when 'failed' then now() + e.delay else q.run_at end
        from ended e where q.id = e.queue_id and e.status in ('failed', 'queued')
        returning q.job_queue_id
    ), freed as (
        update graphile_worker._private_job_queues q set locked_by = null, locked_at = null
        from (select job_queue_id from dropped union all select job_queue_id from again) e
        where q.id = e.job_queue_id and q.locked_by = finish.worker
    )
    select array_agg(e.id) into done from ended e;

    insert into events.event (topic, type, data, cause, depth)
    select 'job:' || j.id, 'job.' || j.status, jobs.event_data(j.id, j.kind, j.status, j.percent, j.note), j.cause, j.depth
    from jobs.job j where j.id = any (done) and j.owner_id is not null;
    return query select unnest(done);
end
$$;
grant execute on function jobs.finish to gather_worker;
