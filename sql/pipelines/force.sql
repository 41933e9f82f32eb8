-- Gives up what is open in a run that was to be cancelled and has not ended by itself. A `finally` that has begun keeps its
-- time.
create or replace function pipelines.force(run uuid) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    r pipelines.run;
begin
    perform pipelines.lock_run(force.run);
    select o.* into r from pipelines.run o where o.id = force.run and o.status = 'cancelling' for update;
    if found and not exists (select from pipelines.step s where s.run_id = r.id and s.path = 'finally') then
        perform pipelines.stop_run(r.id, r.cancels, true);
    end if;
end
$$;
grant execute on function pipelines.force to gather_pipeline_run;
