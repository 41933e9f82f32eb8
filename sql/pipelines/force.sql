-- Ends a run that was to be cancelled and has not ended by itself.
create or replace function pipelines.force(run uuid) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    r pipelines.run;
begin
    perform pipelines.lock_run(force.run);
    select o.* into r from pipelines.run o where o.id = force.run and o.status = 'cancelling' for update;
    if found then
        perform pipelines.end_run(r.id, 'cancelled', null, r.cancels);
    end if;
end
$$;
grant execute on function pipelines.force to gather_pipeline_run;
