-- Puts a dead job into the queue again, with as many attempts as a new one. A null `owner` may retry
-- any job. Returns its former status; null if the job does not exist.
create or replace function jobs.retry(job uuid, owner uuid) returns text
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    target jobs.job;
begin
    select j.* into target from jobs.job j
    where j.id = retry.job and (retry.owner is null or j.owner_id = retry.owner) for update;
    if target.status = 'dead' then
        update jobs.job j
        set status = 'queued', finished_at = null, percent = 0, note = '', run_at = now(),
            cancel_requested_at = null,
            max_attempts = j.attempts + jobs.max_attempts(j.kind),
            queue_id = jobs.put(j.id, j.kind, null, null, 0)
        where j.id = target.id;
    end if;
    return target.status;
end
$$;
grant execute on function jobs.retry to gather_jobs;
