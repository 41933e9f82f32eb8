-- Whether a text has each word of a query, perhaps misspelt. It compares trigrams with a lower threshold than the
-- extension's own,
-- so that two letters may be wrong.
create or replace function search.alike(words text[], body text) returns boolean
language sql stable set search_path = pg_catalog, trigram, pg_temp set pg_trgm.word_similarity_threshold = '0.45'
as $$
    select not exists (select from unnest(alike.words) w (word) where not w.word <% alike.body)
$$;
