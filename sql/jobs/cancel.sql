-- Cancels a job. A running job is asked to stop, and stopped if it does not. A null `owner` may
-- cancel any job. Returns the job's status; null if the job does not exist.
create or replace function jobs.cancel(job uuid, owner uuid) returns text
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    target jobs.job;
begin
    select j.* into target from jobs.job j
    where j.id = cancel.job and (cancel.owner is null or j.owner_id = cancel.owner) for update;
    if target.status in ('queued', 'failed') then
        -- If a worker has just claimed it, the queue's row stays until that finds out.
        delete from graphile_worker._private_jobs q where q.id = target.queue_id and q.locked_at is null;
        update jobs.job j
        set status = 'cancelled', cancel_requested_at = now(), finished_at = now(), queue_id = null
        where j.id = target.id;
        if target.owner_id is not null then
            insert into events.event (topic, type, data, cause, depth)
            values ('job:' || target.id, 'job.cancelled',
                jobs.event_data(target.id, target.kind, 'cancelled', target.percent, target.note), target.cause,
                target.depth);
        end if;
        return 'cancelled';
    elsif target.status = 'running' then
        update jobs.job j set cancel_requested_at = coalesce(j.cancel_requested_at, now()) where j.id = target.id;
        perform pg_notify('jobs:cancel', target.id::text);
    end if;
    return target.status;
end
$$;
grant execute on function jobs.cancel to gather_jobs;
