-- Notes that a space was consolidated, and tells its readers.
create or replace function memory.end_consolidation(space uuid, merged integer, archived integer) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    changed memory.space;
begin
    update memory.space s set fresh = 0, consolidated_at = now()
    where s.id = end_consolidation.space returning s.* into changed;
    if found then
        perform memory.tell(changed, 'memory.consolidated',
            jsonb_build_object('merged', merged, 'archived', archived), null);
    end if;
end
$$;
grant execute on function memory.end_consolidation to gather_memory_consolidate;
