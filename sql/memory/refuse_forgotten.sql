-- Refuses what was forgotten, if the account may read the scope that it was in.
create or replace function memory.refuse_forgotten(actor uuid, id uuid) returns void
language plpgsql
as $$
begin
    if exists (select from memory.forgotten f
        where f.id = refuse_forgotten.id and memory.level_in(actor, f.space_id) is not null)
    then
        perform identity.refuse('memory_forgotten');
    end if;
end
$$;
