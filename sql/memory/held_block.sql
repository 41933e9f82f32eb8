-- A block of a space, held, for a change by an account that expects these versions; null: it is not there. Whoever may not
-- change it is refused.
create or replace function memory.held_block(actor uuid, space memory.space, label text, expected text[])
returns memory.block
language plpgsql
as $$
declare
    former memory.block;
begin
    select b.* into former from memory.block b
    where b.space_id = space.id and b.label = held_block.label for no key update;
    if found and former.version::text <> all (expected) then
        perform identity.refuse('block_version');
    elsif found and former.read_only and memory.level_in(actor, space.id) <> 'manage' then
        perform identity.refuse('block_read_only');
    end if;
    return former;
end
$$;
