-- The attempts that did not succeed, as the API shows them.
create or replace view jobs.attempt_view as
select a.job_id, a.number as attempt, a.outcome, a.error, a.started_at, a.ended_at
from jobs.attempt a;
grant select on jobs.attempt_view to gather_jobs;
