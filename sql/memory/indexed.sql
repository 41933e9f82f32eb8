-- The words of a text as they are indexed, behind the number of its space: as they stand there, and by their stems.
create or replace function memory.indexed(number bigint, terms text[]) returns text[]
language sql immutable set search_path = pg_catalog, pg_temp
as $$
    select array(
        select indexed.number || ' ' || t from unnest(indexed.terms) t
        union
        select indexed.number || ' ~' || (ts_lexize('pg_catalog.english_stem', t))[1] from unnest(indexed.terms) t
        where t ~ '^[a-z]+$' and ts_lexize('pg_catalog.english_stem', t) <> '{}')
$$;
