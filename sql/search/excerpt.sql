-- The part of a text that shows why it was found: 200 characters around the longest word of the query, in one line.
create or replace function search.excerpt(body text, query text) returns text
language sql immutable set search_path = pg_catalog, pg_temp
as $$
    select case when s.first > 1 then '…' else '' end
        || btrim(regexp_replace(substr(excerpt.body, s.first, 200), '[[:space:][:cntrl:]]+', ' ', 'g'))
        || case when char_length(excerpt.body) >= s.first + 200 then '…' else '' end
    from (select greatest(1, position((search.words(excerpt.query))[1] in lower(excerpt.body)) - 60) as first) s
$$;
