-- The versions in spaces that have words of a query, with the share of its words that they have: 1 if all are there as they
-- were asked for. It depends on the query and the text alone.
create or replace function memory.by_words(spaces uuid[], words jsonb, at timestamptz)
returns table (memory_id uuid, number integer, score double precision)
language sql stable
as $$
    with unit as materialized (
        select u.term, u.stem, u.weight from memory.units(words) u
    ), keys as materialized (
        select s.id, s.number, array(
            select s.number || ' ' || k from unit u, unnest(array[u.term, u.stem]) k
            -- A word that nearly every text has finds nothing by itself.
            where k is not null and u.weight > 0.1) as keys
        from memory.space s where s.id = any (spaces)
    )
    select v.memory_id, v.number, w.score
    from keys k
    join memory.version v on v.terms && k.keys and v.space_id = k.id
    cross join lateral (
        select sum(u.weight * case
                when k.number || ' ' || u.term = any (v.terms) then 1
                when k.number || ' ' || u.stem = any (v.terms) then 0.8
                else 0 end) / sum(u.weight) as score
        from unit u) w
    where case when at is null then v.replaced_at is null else v.number = (
        select p.number from memory.version_at(v.memory_id, at) p) end
$$;
