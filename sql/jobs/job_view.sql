-- A job as its owner sees it, without its payload.
create or replace view jobs.job_view as
select j.id, j.owner_id, j.kind, j.status, jsonb_build_object('percent', j.percent, 'note', j.note) as progress,
    j.attempts, j.max_attempts, j.result, j.error, j.created_at, j.started_at, j.finished_at, j.run_at,
    j.cancel_requested_at is not null and j.finished_at is null as cancelling
from jobs.job j;
grant select on jobs.job_view to gather_jobs;
