-- Gives a run, whose row the caller has locked, a job that drives it from a time on; null: at once. One that has not begun
-- waits for its own time, whatever has happened meanwhile. A job that waited for a later time is not needed any more.
create or replace function pipelines.drive(run uuid, at timestamptz) returns void
language plpgsql
as $$
declare
    r pipelines.run;
    due timestamptz := drive.at;
begin
    select o.* into r from pipelines.run o where o.id = drive.run for update;
    if r.started_at is null and r.start_at > clock_timestamp() then
        due := greatest(r.start_at, due);
    end if;
    update pipelines.run o
    set wake_at = due,
        job_id = jobs.enqueue('pipeline-run', jsonb_build_object('run', r.id), run_at => due,
            priority => r.priority, notify => 'pipelines.job_ended')
    where o.id = r.id;
    perform pipelines.drop_job(r.job_id);
end
$$;
