-- A step as the account of its run sees it.
create or replace view pipelines.step_view as
select s.run_id, r.account_id, s.path, s.type, s.status, s.effect, s.attempts, s.input, s.output, s.error, s.chosen,
    s.approval_id as approval, s.child_id as child, s.wake_at, s.started_at, s.finished_at
from pipelines.step s join pipelines.run r on r.id = s.run_id;
grant select on pipelines.step_view to gather_pipelines;
