-- The words of a query that say something, without signs that a tsquery has a meaning for: 12 at most.
create or replace function skills.query_words(query text) returns setof text
language sql immutable rows 4
set search_path = pg_catalog, pg_temp
as $$
    select distinct w.word
    from regexp_split_to_table(lower(query_words.query), '[[:space:][:punct:]$+<=>^`|~\\]+') w (word)
    where w.word <> '' and to_tsvector('english', w.word) <> ''
    limit 12
$$;
