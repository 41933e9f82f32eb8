-- Writes a block of a scope.
--   expected  the versions that it may have; null: any
--   is_first  whether there may be none yet, and nothing else
--   block     {content, description, limit_bytes, read_only}, of which absent ones stay
create or replace function memory.put_block(
    actor uuid, scope text, scope_id uuid, label text, expected text[], is_first boolean, block jsonb,
    out written jsonb, out is_new boolean)
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    space memory.space;
    former memory.block;
    made memory.block;
    manages boolean;
begin
    perform identity.require_active(actor);
    space := memory.space_for(actor, scope, scope_id);
    former := memory.held_block(actor, space, label, case when not is_first then expected end);
    is_new := former.label is null;
    if is_new <> is_first then
        perform identity.refuse('block_version');
    end if;
    manages := memory.level_in(actor, space.id) = 'manage';
    if not manages and (block ->> 'read_only')::boolean then
        perform identity.refuse('block_read_only');
    end if;
    if is_new and (select count(*) from memory.block b where b.space_id = space.id) >= 20 then
        perform identity.refuse('block_count');
    end if;
    insert into memory.block as b (space_id, label, content, description, limit_bytes, read_only, trust, author)
    values (space.id, put_block.label, block ->> 'content', coalesce(block ->> 'description', former.description, ''),
        coalesce((block ->> 'limit_bytes')::integer, former.limit_bytes, 8192),
        coalesce((block ->> 'read_only')::boolean, former.read_only, false), 'own', actor)
    on conflict on constraint block_pkey do update set content = excluded.content, description = excluded.description,
        limit_bytes = excluded.limit_bytes, read_only = excluded.read_only, author = excluded.author,
        version = excluded.version, changed_at = clock_timestamp()
    returning b.* into made;
    written := memory.block_json(actor, made);
end
$$;
grant execute on function memory.put_block to gather_memory;
