-- Memories of a space that no consolidation has compared by their meanings, in the order of their ids; each with those of the
-- same kind, key and trust, and of the same day if they are events, whose texts may say the same, out of the nearest 200;
-- `nearness` is the cosine. Texts of several passages have none, since a part of them may be near.
create or replace function memory.alike(space uuid, model text, after uuid, most integer)
returns table (memory jsonb, others jsonb)
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    with fresh as materialized (
        select a.*, w.embedding
        from (
            select f.id, f.version, v.content, v.kind, v.trust, f.key, v.importance, f.uses, v.valid_from
            from memory.memory f join memory.version v on v.memory_id = f.id and v.replaced_at is null
            where f.space_id = alike.space and f.state = 'active' and f.compared < f.version and v.embedded
            and (after is null or f.id > after)
            order by f.id limit most) a
        left join memory.vector w on w.model = alike.model and w.memory_id = a.id and w.number = a.version and w.passage = 1
            and not exists (select from memory.vector p
                where p.model = alike.model and p.memory_id = a.id and p.number = a.version and p.passage > 1)
    )
    select to_jsonb(f) - 'embedding', coalesce((
        select jsonb_agg(to_jsonb(n)) from (
            with near as materialized (
                select o.memory_id, o.number, 1 - (o.embedding operator(vector.<=>) f.embedding) as nearness
                from memory.vector o
                where o.model = alike.model and o.space_id = alike.space and o.memory_id <> f.id
                and f.embedding is not null and 1 - (o.embedding operator(vector.<=>) f.embedding) >= d.alike
                order by nearness desc limit 200)
            select m.id, m.version, v.content, v.kind, v.trust, m.key, v.importance, m.uses, v.valid_from, x.nearness
            from near x
            join memory.memory m on m.id = x.memory_id and m.state = 'active'
            join memory.version v on v.memory_id = m.id and v.number = x.number and v.replaced_at is null
            where v.kind = f.kind and v.trust = f.trust and m.key is not distinct from f.key
            and (v.kind <> 'event' or (v.valid_from at time zone 'UTC')::date = (f.valid_from at time zone 'UTC')::date)
            and not exists (select from memory.vector p
                where p.model = alike.model and p.memory_id = m.id and p.number = x.number and p.passage > 1)
            order by x.nearness desc, m.id) n), '[]')
    from fresh f cross join search.model d
    where d.name = alike.model
    order by f.id
$$;
grant execute on function memory.alike to gather_memory_consolidate;
