-- Has every space consolidated that has changed since it was, or was not for a day; and deletes what belongs to scopes that
-- have ended. Returns how many of each.
create or replace function memory.consolidate_all(job uuid, out enqueued integer, out ended integer)
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    space memory.space;
    is_alive boolean;
begin
    enqueued := 0;
    ended := 0;
    for space in select s.* from memory.space s order by s.id loop
        execute format('select %s($1)', (select k.alive from memory.scope_kind k where k.kind = space.scope))
        into is_alive using space.scope_id;
        if not is_alive then
            perform memory.end_space(space.id);
            ended := ended + 1;
        elsif exists (select from memory.memory m where m.space_id = space.id and m.state = 'active') then
            perform jobs.enqueue('memory-consolidate', jsonb_build_object('space', space.id),
                case when space.scope = 'agent' then space.scope_id end,
                key => space.id::text, queue => 'memory:' || space.id, priority => 10, by_job => job);
            enqueued := enqueued + 1;
        end if;
    end loop;
end
$$;
grant execute on function memory.consolidate_all to gather_memory_consolidate;
