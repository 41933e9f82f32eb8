-- Merges memories of one meaning into one of them, unless any has changed since it was read, or is gone. The others are
-- superseded by it, and are among its sources.
--   kept, version    the memory that stays, and its version
--   merged           [{id, version}]
create or replace function memory.merge(kept uuid, version integer, merged jsonb) returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    space memory.space;
    ids uuid[] := array(select (m ->> 'id')::uuid from jsonb_array_elements(merged) m);
    unchanged bigint;
    written memory.version;
begin
    select s.* into space from memory.space s
    where s.id = (select m.space_id from memory.memory m where m.id = kept) for no key update;
    perform from memory.memory m where m.id = kept or m.id = any (ids) order by m.id for no key update;
    select count(*) into unchanged from memory.memory m
    where m.space_id = space.id and m.state = 'active' and (m.id = kept and m.version = merge.version
        or exists (select from jsonb_array_elements(merged) o
            where (o ->> 'id')::uuid = m.id and (o ->> 'version')::integer = m.version));
    if unchanged is distinct from 1 + cardinality(ids) then
        return false;
    end if;
    select v.* into written from memory.version v where v.memory_id = kept and v.replaced_at is null;
    written.number := merge.version + 1;
    written.recorded_at := clock_timestamp();
    select max(v.importance), (array_agg(v.trust order by memory.rank_of(v.trust)))[1], min(v.valid_from),
        (select coalesce(array_agg(t.tag order by t.tag), '{}') from (
            select distinct tag from memory.version o cross join unnest(o.tags) tag
            where (o.memory_id = kept or o.memory_id = any (ids)) and o.replaced_at is null order by tag limit 50) t),
        (select coalesce(array_agg(distinct t), '{}') from memory.version o cross join unnest(o.terms) t
            where (o.memory_id = kept or o.memory_id = any (ids)) and o.replaced_at is null)
    into written.importance, written.trust, written.valid_from, written.tags, written.terms
    from memory.version v where (v.memory_id = kept or v.memory_id = any (ids)) and v.replaced_at is null;
    update memory.memory m set version = written.number,
        uses = (select sum(o.uses) from memory.memory o where o.id = kept or o.id = any (ids)),
        last_used_at = (select max(o.last_used_at) from memory.memory o where o.id = kept or o.id = any (ids))
    where m.id = kept;
    update memory.memory m set state = 'superseded', superseded_by = kept, valid_to = clock_timestamp()
    where m.id = any (ids);
    perform memory.put_version(written);
    insert into memory.source (memory_id, type, id) select kept, 'memory', i::text from unnest(ids) i
    on conflict on constraint source_pkey do nothing;
    perform memory.tell(space, 'memory.superseded', jsonb_build_object('id', i, 'by', kept), null) from unnest(ids) i;
    return true;
end
$$;
grant execute on function memory.merge to gather_memory_consolidate;
