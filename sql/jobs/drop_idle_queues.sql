-- The claim looks at every idle queue, so those that nothing waits in must go. The lock keeps
-- out a job that is just about to name one; where it is not to be had at once, the next time will do.
create or replace function jobs.drop_idle_queues() returns void
language plpgsql
as $$
begin
    if not exists (
        select from graphile_worker._private_job_queues q
        where q.locked_at is null
        and not exists (select from graphile_worker._private_jobs j where j.job_queue_id = q.id)
    ) then
        return;
    end if;
    set local lock_timeout = '50ms';
    begin
        lock table graphile_worker._private_jobs in share row exclusive mode;
        delete from graphile_worker._private_job_queues q
        where q.locked_at is null
        and not exists (select from graphile_worker._private_jobs j where j.job_queue_id = q.id);
    exception when lock_not_available then null;
    end;
    set local lock_timeout = 0;
end
$$;
