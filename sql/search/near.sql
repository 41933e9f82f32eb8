-- The texts of some places whose meaning is near a vector, by their nearest passage: 1 for the same, 0 for what has nothing
-- to do with it, which is left out. All of their 200,000 newest passages are compared, those of the first places first:
-- within that it is exact, and no search costs more.
create or replace function search.near(kind text, model text, meaning vector.halfvec, places uuid[])
returns table (id uuid, semantic double precision)
language sql stable rows 1000
as $$
    select n.id, (n.cosine - m.floor) / (1 - m.floor)
    from search.model m cross join lateral (
        select x.id, max(x.cosine) as cosine
        from (
            select v.id, v.cosine from unnest(places) p (place)
            cross join lateral (
                select o.id, 1 - (o.embedding operator(vector.<=>) meaning) as cosine from search.vector o
                where o.kind = near.kind and o.model = near.model and o.place = p.place
                order by o.id desc limit 200000) v
            limit 200000) x
        group by x.id) n
    -- A vector without length is near nothing.
    where m.name = near.model and n.cosine > m.floor and n.cosine <> 'NaN'
$$;
