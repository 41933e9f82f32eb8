-- The significant words of a query, without the operators of a tsquery: 12 at most.
create or replace function skills.query_words(query text) returns setof text
language sql immutable rows 4
set search_path = pg_catalog, pg_temp
as $$
    select distinct w.word
    from regexp_split_to_table(lower(query_words.query), '[[:space:][:punct:]$+<=>^`|~\\]+') w (word)
    where w.word <> '' and to_tsvector('english', w.word) <> ''
    limit 12
$$;
