-- The posts that an account, or a stranger (null), finds by their meaning, of those that it may read.
create or replace function social.meant(
    reader uuid, query text, model text, meaning text, also text[], most integer
) returns table (
    kind text, id text, title text, snippet text, url text, created_at timestamptz, rank real, semantic double precision)
language plpgsql stable security definer set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    patterns text[] := search.patterns(query);
begin
    return query
        with found as materialized (
            select n.id, n.semantic, n.id::text = any (also) as named
            from search.near('post', model, meaning::vector.halfvec, array[search.everybody()]) n
        )
        select 'post', p.id::text, p.title, search.excerpt(p.plain, query), '/posts/' || p.id, p.created_at,
            case when p.words like all (patterns) then search.rank(split_part(p.words, E'\n', 1), p.words, query) end,
            f.semantic
        from (select * from found order by named desc, semantic desc, id desc) f
        cross join lateral (
            select r.id, r.title, w.plain, w.words, r.created_at
            from social.post w join social.readable_post(reader) r on r.id = w.id
            where w.id = f.id and r.state = 'shown' offset 0) p
        order by f.named desc, f.semantic desc, f.id desc limit most + cardinality(also);
end
$$;
