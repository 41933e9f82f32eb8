-- Ends the memory of a space that has a key, if there is one, for a new one, and returns its id. What is trusted less
-- supersedes nothing.
create or replace function memory.supersede(
    space memory.space, successor uuid, key text, trust text, since timestamptz, actor uuid) returns uuid
language plpgsql
as $$
declare
    former memory.memory;
begin
    select m.* into former from memory.memory m
    where m.space_id = space.id and m.key = supersede.key and m.state <> 'superseded' for no key update;
    if not found then
        return null;
    end if;
    if memory.rank_of(supersede.trust) < (
        select memory.rank_of(v.trust) from memory.version v where v.memory_id = former.id and v.replaced_at is null)
    then
        perform identity.refuse('memory_key_trust');
    end if;
    update memory.memory m set state = 'superseded', valid_to = coalesce(since, clock_timestamp()) where m.id = former.id;
    perform memory.tell(space, 'memory.superseded', jsonb_build_object('id', former.id, 'by', successor), actor);
    return former.id;
end
$$;
