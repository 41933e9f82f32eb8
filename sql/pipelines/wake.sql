-- Tells a run that something has happened, and puts it back to work if it is parked. A driver that is about to park looks
-- again first.
create or replace function pipelines.wake(run uuid) returns void
language plpgsql
as $$
declare
    r pipelines.run;
begin
    update pipelines.run o set news = o.news + 1 where o.id = wake.run and o.finished_at is null returning o.* into r;
    if found and not r.is_paused and (r.job_id is null or r.wake_at is not null) then
        perform pipelines.drive(r.id, null);
    end if;
end
$$;
