-- The memory that an account means, held. What it may not read is unknown to it; what was forgotten is gone.
create or replace function memory.seen(actor uuid, id uuid) returns memory.memory
language plpgsql
as $$
declare
    found_memory memory.memory;
begin
    select m.* into found_memory from memory.memory m where m.id = seen.id for no key update;
    if found and memory.level_in(actor, found_memory.space_id) is not null then
        return found_memory;
    end if;
    perform memory.refuse_forgotten(actor, seen.id);
    perform identity.refuse('memory_unknown');
end
$$;
