-- Gives a run, whose row the caller has locked, a job that drives it from a time on; null: at once. A job that waited for
-- a later time is not needed any more.
create or replace function pipelines.drive(run uuid, at timestamptz) returns void
language plpgsql
as $$
declare
    r pipelines.run;
begin
    select o.* into r from pipelines.run o where o.id = drive.run for update;
    update pipelines.run o
    set wake_at = drive.at,
        job_id = jobs.enqueue('pipeline-run', jsonb_build_object('run', r.id), run_at => drive.at,
            priority => r.priority, notify => 'pipelines.job_ended')
    where o.id = r.id;
    perform pipelines.drop_job(r.job_id);
end
$$;
