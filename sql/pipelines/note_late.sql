-- Notes what an attempt of a step has told after the step had been ended. It has no other effect.
create or replace function pipelines.note_late(run uuid, path text, outcome text) returns void
language sql security definer set search_path = pg_catalog, pg_temp
as $$
    update pipelines.step s
    set late = jsonb_build_object('outcome', note_late.outcome, 'at', clock_timestamp())
    where s.run_id = note_late.run and s.path = note_late.path and s.status in ('cancelled', 'timed_out') and s.late is null
$$;
grant execute on function pipelines.note_late to gather_pipeline_run;
