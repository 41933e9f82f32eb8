-- Ends those of a worker's claimed jobs that are not to run: jobs that were cancelled or have lost their
-- last worker once too often, and the queue's rows of jobs that have ended already.
create or replace function jobs.end_unfit(worker text, ids bigint[]) returns void
language sql
as $$
    with unfit as (
        select q.id, q.job_queue_id from graphile_worker._private_jobs q
        where q.id = any (ids) and q.locked_by = $1
        and not exists (select from jobs.job j
            -- The job began in this transaction.
            where j.queue_id = q.id and j.status = 'running' and j.xmin = pg_current_xact_id()::xid)
    ), ended as (
        update jobs.job j
        set status = case when j.cancel_requested_at is null then 'dead' else 'cancelled' end,
            error = case when j.cancel_requested_at is null then 'The worker that ran it was lost.' end,
            finished_at = now(), queue_id = null
        from unfit u where j.queue_id = u.id
        returning j.*
    ), told as (
        insert into events.event (topic, type, data, cause, depth)
        select 'job:' || e.id, 'job.' || e.status, jobs.event_data(e.id, e.kind, e.status, e.percent, e.note), e.cause, e.depth
        from ended e where e.owner_id is not null
    ), dropped as (
        delete from graphile_worker._private_jobs q using unfit u where q.id = u.id
    )
    update graphile_worker._private_job_queues q set locked_by = null, locked_at = null
    from unfit u where q.id = u.job_queue_id and q.locked_by = $1
$$;
