-- A run names the trigger that has started it.
create index trigger_firing_run on pipelines.trigger_firing (run_id) where run_id is not null;
