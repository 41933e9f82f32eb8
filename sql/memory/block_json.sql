-- A block as answers have it.
create or replace function memory.block_json(reader uuid, block memory.block) returns jsonb
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select jsonb_build_object('scope', s.scope, 'scope_id', s.scope_id, 'label', block.label, 'content', block.content,
        'description', block.description, 'limit_bytes', block.limit_bytes, 'read_only', block.read_only,
        'trust', memory.trust_for(memory.party(reader), s.scope, block.author, block.trust), 'author', block.author,
        'version', block.version, 'created_at', block.created_at, 'changed_at', block.changed_at)
    from memory.space s where s.id = block.space_id
$$;
grant execute on function memory.block_json to gather_memory;
