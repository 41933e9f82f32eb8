-- The sources of a memory, without memories that the reader may not read.
create or replace function memory.sources_json(reader uuid, memory uuid) returns jsonb
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select coalesce(jsonb_agg(jsonb_build_object('type', o.type, 'id', o.id) order by o.type, o.id), '[]')
    from memory.source o
    where o.memory_id = sources_json.memory and (o.type <> 'memory' or exists (
        select from memory.memory m
        where m.id = platform.uuid_of(o.id) and memory.level_in(reader, m.space_id) is not null))
$$;
grant execute on function memory.sources_json to gather_memory;
