-- What the engine of pipelines has to know beyond the first form of its tables.

-- Before that time a run does not begin, whatever wakes it.
alter table pipelines.run add column start_at timestamptz;
-- How many steps a run has, so that a list of runs counts none.
alter table pipelines.run add column step_count integer not null default 0;
update pipelines.run r set step_count = c.steps
from (select s.run_id, count(*) as steps from pipelines.step s group by s.run_id) c where c.run_id = r.id;
create index run_account_cause on pipelines.run (account_id, cause, id);
create index run_pipeline_cause on pipelines.run (pipeline_id, cause, id);

-- The signed statement of the sandbox about the call of a skill.
alter table pipelines.step add column receipt jsonb;
-- What a run waits for is listed with it.
create index step_open on pipelines.step (run_id, path) where status in ('waiting', 'retrying', 'uncertain');

-- Runs that the sweep has put back to work are counted, too.
alter table pipelines.ended drop constraint ended_what_known;
alter table pipelines.ended add constraint ended_what_known check (what in ('run', 'step', 'firing', 'swept'));
