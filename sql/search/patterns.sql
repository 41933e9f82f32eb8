-- The patterns that a folded text matches, all of them, where it has the words of a query or parts of longer words, as in
-- languages without spaces. The first one is the longest: an index can do most with it.
create or replace function search.patterns(query text) returns text[]
language sql immutable set search_path = pg_catalog, pg_temp
as $$
    select array(
        select '%' || regexp_replace(w.word, '([\\%_])', '\\\1', 'g') || '%'
        from unnest(search.words(patterns.query)) with ordinality w (word, n) order by w.n)
$$;
