-- The versions in spaces whose meaning is near a vector, by their nearest passage: 1 for the same, 0 for what has nothing to
-- do with it, which is left out.
create or replace function memory.by_meaning(spaces uuid[], model text, wanted vector.halfvec)
returns table (memory_id uuid, number integer, score double precision)
language sql stable
as $$
    select n.memory_id, n.number, (n.cosine - m.floor) / (1 - m.floor)
    from search.model m cross join lateral (
        select x.memory_id, x.number, max(1 - (x.embedding operator(vector.<=>) wanted)) as cosine
        from memory.vector x
        where x.model = by_meaning.model and x.space_id = any (spaces) and wanted is not null
        group by x.memory_id, x.number) n
    where m.name = by_meaning.model and n.cosine > m.floor
$$;
