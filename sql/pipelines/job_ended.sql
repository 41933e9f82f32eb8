-- Called in the statement that ends a job of a run. One that gave up fails the run; if it ended in another way without a
-- word, another one goes on. A run that somebody changes at this moment is left to the sweep, since waiting for it could
-- wait for somebody who waits for the job.
create or replace function pipelines.job_ended(job uuid) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    r pipelines.run;
    ended jobs.job;
begin
    select o.* into r from pipelines.run o
    where o.job_id = job_ended.job and o.finished_at is null for update skip locked;
    if not found then
        return;
    end if;
    select j.* into ended from jobs.job j where j.id = job_ended.job;
    if ended.status = 'dead' and r.parent_id is not null then
        -- The run above it is locked first, which the sweep does: this run has nobody to drive it now.
        update pipelines.run o set job_id = null, wake_at = null,
            status = case o.status when 'cancelling' then o.status else 'running' end, is_lost = true where o.id = r.id;
    elsif ended.status = 'dead' then
        perform pipelines.end_run(r.id, 'failed', null, jsonb_build_object('code', 'engine-lost',
            'detail', 'The run could not be driven: ' || coalesce(ended.error, 'its workers were lost')));
    else
        perform pipelines.drive(r.id, clock_timestamp() + interval '1 second');
    end if;
end
$$;
