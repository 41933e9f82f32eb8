-- The rank of a result, on the scale that all finders share, which is that of `skills.matching`. The steps are 3: it is
-- the title; 2: the text has all its words; 0: it has some that look alike. Within a step what is more alike comes
-- first.
create or replace function search.rank(title text, body text, query text) returns real
language sql immutable set search_path = pg_catalog, trigram, pg_temp
as $$
    select (case
            when rank.title in (rank.query, replace(rank.query, ' ', '-')) then 3
            when rank.body like all (search.patterns(rank.query)) then 2
            else 0
        end + least(0.9999, word_similarity(rank.query, rank.body)))::real
$$;
