-- A memory with one of its versions as answers have it, for readers who see the sources that they may read.
create or replace function memory.memory_json(reader uuid, memory memory.memory, version memory.version) returns jsonb
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select jsonb_build_object(
        'id', memory.id, 'scope', s.scope, 'scope_id', s.scope_id, 'content', version.content, 'kind', version.kind,
        'importance', round(version.importance::numeric, 4),
        'trust', memory.trust_for(memory.party(reader), s.scope, version.author, version.trust),
        'state', case when memory.state = 'active' and version.expires_at <= now() then 'archived' else memory.state end,
        'key', memory.key, 'valid_from', version.valid_from, 'valid_to', memory.valid_to,
        'superseded_by', memory.superseded_by, 'sources', memory.sources_json(reader, memory.id), 'tags', version.tags,
        'author', memory.author, 'version', version.number, 'uses', memory.uses, 'last_used_at', memory.last_used_at,
        'expires_at', version.expires_at, 'created_at', memory.created_at)
    from memory.space s where s.id = memory.space_id
$$;
grant execute on function memory.memory_json to gather_memory;
