-- The active memories of a space, in the order of their ids, for a consolidation; one more page after each.
create or replace function memory.active_in(space uuid, after uuid, most integer)
returns table (id uuid, version integer, content text, kind text, trust text, key text, importance real, uses integer,
    valid_from timestamptz)
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select m.id, m.version, v.content, v.kind, v.trust, m.key, v.importance, m.uses, v.valid_from
    from memory.memory m join memory.version v on v.memory_id = m.id and v.replaced_at is null
    where m.space_id = active_in.space and m.state = 'active' and (after is null or m.id > after)
    order by m.id limit most
$$;
grant execute on function memory.active_in to gather_memory_consolidate;
