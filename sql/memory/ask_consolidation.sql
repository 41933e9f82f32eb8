-- Has a scope consolidated, and returns the job's id. While one that this account asked for is unfinished, it is that one;
-- those of other accounts run one after another.
create or replace function memory.ask_consolidation(actor uuid, scope text, scope_id uuid, preview boolean) returns uuid
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    space memory.space;
begin
    perform identity.require_active(actor);
    space := memory.space_for(actor, scope, scope_id);
    return jobs.enqueue('memory-consolidate', jsonb_build_object('space', space.id, 'dry_run', preview), actor,
        key => space.id::text || case when preview then '/preview' else '' end, queue => 'memory:' || space.id);
end
$$;
grant execute on function memory.ask_consolidation to gather_memory;
