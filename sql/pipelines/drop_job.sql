-- Cancels a job that waits. One that somebody holds at this moment finds out by itself that it is not needed: waiting for
-- it could wait for the end of a job, which waits for the run.
create or replace function pipelines.drop_job(job uuid) returns void
language plpgsql
as $$
begin
    perform from jobs.job j where j.id = drop_job.job and j.status in ('queued', 'failed') for update skip locked;
    if found then
        perform jobs.cancel(drop_job.job, null);
    end if;
end
$$;
