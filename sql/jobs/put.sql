-- Puts a job's row into the queue. It is what the queue's own `add_job` does, but for the notification, which that gives
-- in every statement: here only a worker that sleeps is notified, the others look by themselves. The queue counts claims,
-- we count attempts: its own limit is out of reach.
create or replace function jobs.put(job uuid, kind text, run_at timestamptz, queue text, priority integer) returns bigint
language plpgsql
as $$
declare
    queued bigint;
begin
    insert into graphile_worker._private_tasks (identifier)
    select put.kind where not exists (select from graphile_worker._private_tasks t where t.identifier = put.kind)
    on conflict do nothing;
    if put.queue is not null then
        -- `jobs.drop_idle_queues` must not drop the queue before the job stands in it.
        lock table graphile_worker._private_jobs in row exclusive mode;
        insert into graphile_worker._private_job_queues (queue_name)
        select put.queue
        where not exists (select from graphile_worker._private_job_queues q where q.queue_name = put.queue)
        on conflict do nothing;
    end if;
    insert into graphile_worker._private_jobs (job_queue_id, task_id, payload, run_at, max_attempts, priority)
    select (select q.id from graphile_worker._private_job_queues q where q.queue_name = put.queue), t.id,
        json_build_object('job', put.job), coalesce(put.run_at, now()), 32767, put.priority
    from graphile_worker._private_tasks t where t.identifier = put.kind
    returning id into queued;
    if coalesce(put.run_at <= now(), true) and exists (select from jobs.sleeper) then
        perform pg_notify('jobs:insert', '');
    end if;
    return queued;
end
$$;
