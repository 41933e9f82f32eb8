-- A step as the account of its run sees it.
create or replace view pipelines.step_view as
select s.run_id, r.account_id, s.path, s.type, s.status, s.effect, s.attempts, s.input, s.output, s.error, s.chosen,
    s.approval_id as approval, s.child_id as child, t.id as turn, t.job_id as job, s.late, s.wake_at, s.started_at, s.finished_at, s.receipt
from pipelines.step s join pipelines.run r on r.id = s.run_id
-- The first turn of the conversation.
left join lateral (
    select o.id, o.job_id from circles.turn o where o.channel_id = s.conversation_id order by o.id limit 1) t on true;
grant select on pipelines.step_view to gather_pipelines;
