-- The memories that an account finds by their meaning in the search over everything, of the scopes that it may read.
create or replace function memory.meant(
    reader uuid, query text, model text, meaning text, also text[], most integer
) returns table (
    kind text, id text, title text, snippet text, url text, created_at timestamptz, rank real, semantic double precision)
language plpgsql stable security definer set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    patterns text[] := search.patterns(query);
    spaces uuid[] := array(select memory.spaces_of(reader));
begin
    return query
        with found as materialized (
            select n.memory_id, n.number, n.score, n.memory_id::text = any (also) as named
            from memory.by_meaning(spaces, model, meaning::vector.halfvec) n
        )
        select 'memory', x.id::text, coalesce(x.key, 'Memory'), search.excerpt(x.content, query), '/memory/' || x.id,
            x.created_at, case when x.words like all (patterns) then search.rank('', x.words, query) end, f.score
        from (select * from found order by named desc, score desc, memory_id desc) f
        cross join lateral (
            select m.id, m.key, v.content, v.words, m.created_at
            from memory.memory m join memory.version v on v.memory_id = m.id and v.number = f.number
            where m.id = f.memory_id and v.replaced_at is null and memory.holds(m, v, null) offset 0) x
        order by f.named desc, f.score desc, f.memory_id desc limit most + cardinality(also);
end
$$;
