-- Deletes a block of a scope.
create or replace function memory.delete_block(actor uuid, scope text, scope_id uuid, label text, expected text[])
returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    space memory.space;
    former memory.block;
begin
    perform identity.require_active(actor);
    space := memory.space_for(actor, scope, scope_id);
    former := memory.held_block(actor, space, label, expected);
    if former.label is null then
        perform identity.refuse('block_unknown');
    end if;
    delete from memory.block b where b.space_id = space.id and b.label = delete_block.label;
    delete from memory.idempotency_key k where k.owner = actor::text and strpos(k.body, to_json(former.content)::text) > 0;
end
$$;
grant execute on function memory.delete_block to gather_memory;
