-- A run as its account sees it.
create or replace view pipelines.run_view as
select r.id, r.pipeline_id as pipeline, r.version, r.status, r.key, r.input, r.result, r.error, r.cause,
    r.account_id as actor, r.restarted_from, r.parent_id as parent, r.created_at, r.started_at, r.finished_at,
    case when r.finished_at is null then array(
        select s.path from pipelines.step s where s.run_id = r.id and s.status in ('waiting', 'retrying', 'uncertain')
        order by s.path) else '{}' end as waiting_for,
    '{"cost": 0, "tokens": 0, "fuel": 0}' || r.used || jsonb_build_object('steps', r.step_count) as usage, r.budget,
    r.parent_path as parent_step,
    case when r.cause = 'schedule' then (
        select f.schedule_id from pipelines.firing f where f.run_id = r.id limit 1) end as schedule,
    case when r.cause in ('event', 'webhook') then (
        select f.trigger_id from pipelines.trigger_firing f where f.run_id = r.id limit 1) end as trigger
from pipelines.run r;
grant select on pipelines.run_view to gather_pipelines;
