-- Deletes a space with all that is in it and came of it.
create or replace function memory.end_space(space uuid) returns void
language plpgsql
as $$
begin
    perform memory.erase(array(select m.id from memory.memory m where m.space_id = end_space.space), null::uuid);
    delete from memory.block b where b.space_id = end_space.space;
    delete from memory.space s where s.id = end_space.space;
end
$$;
