-- The words of a query, the longest first: 8 at most.
create or replace function search.words(query text) returns text[]
language sql immutable set search_path = pg_catalog, pg_temp
as $$
    select coalesce(array_agg(w.word order by char_length(w.word) desc, w.n), '{}')
    from (
        select p.word, p.n from regexp_split_to_table(words.query, '\s+') with ordinality p (word, n)
        where p.word <> '' order by p.n limit 8
    ) w
$$;
