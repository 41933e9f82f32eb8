-- Counts a new memory of a space, and has the space consolidated when there are 200.
create or replace function memory.count_fresh(space memory.space, actor uuid) returns void
language plpgsql
as $$
begin
    update memory.space s set fresh = s.fresh + 1 where s.id = space.id;
    if space.fresh + 1 >= 200 and (space.fresh + 1) % 200 = 0 then
        perform jobs.enqueue('memory-consolidate', jsonb_build_object('space', space.id), actor,
            key => space.id::text, queue => 'memory:' || space.id);
    end if;
end
$$;
