-- The memories of spaces, the newest first, `most` at most; see `functions/memory/src/memories.rs` for the filters. Without
-- a state, those that hold now, or held at the time `as_of`.
create or replace function memory.listed(
    reader uuid, scopes jsonb, kind text, tag text, state text, as_of timestamptz, source_type text, source_id text,
    after uuid, most bigint
) returns setof jsonb
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select memory.memory_json(reader, m.memory, m.version) from (
        select n.memory, n.version, (n.memory).id
        from memory.spaces_of(reader, listed.scopes) space
        cross join lateral (
            select m as memory, v as version from memory.memory m
            cross join lateral memory.version_at(m.id, as_of) v
            where m.space_id = space and (after is null or m.id < after)
            and (listed.kind is null or v.kind = listed.kind)
            and (tag is null or tag = any (v.tags))
            and case
                when listed.state is not null then listed.state
                    = case when m.state = 'active' and v.expires_at <= now() then 'archived' else m.state end
                when as_of is not null then memory.holds(m, v, as_of)
                else memory.holds(m, v, null)
            end
            and (source_type is null or exists (
                select from memory.source o
                where o.memory_id = m.id and o.type = source_type and o.id = source_id))
            order by m.id desc limit most
        ) n
        order by id desc limit most
    ) m
    order by m.id desc
$$;
grant execute on function memory.listed to gather_memory;
