-- Lets the jobs of a queue begin now that wait for a later time, as those do which have failed.
create or replace function jobs.hurry(queue text) returns void
language plpgsql
as $$
begin
    with hurried as (
        update graphile_worker._private_jobs q set run_at = now()
        from graphile_worker._private_job_queues n
        where n.queue_name = hurry.queue and q.job_queue_id = n.id and q.locked_at is null and q.run_at > now()
        returning q.id
    )
    update jobs.job j set run_at = now() from hurried h where j.queue_id = h.id;
    if found and exists (select from jobs.sleeper) then
        perform pg_notify('jobs:insert', '');
    end if;
end
$$;
