-- The words of a query, `[{term, weight}]`, with their stems and what they count. Those that nearly every text has count
-- little.
create or replace function memory.units(words jsonb) returns table (term text, stem text, weight double precision)
language sql immutable set search_path = pg_catalog, pg_temp
as $$
    select u.term, '~' || s.stems[1], u.weight * case when s.stems = '{}' then 0.05 else 1 end
    from jsonb_to_recordset(words) as u (term text, weight double precision)
    cross join lateral (
        select case when u.term ~ '^[a-z]+$' then ts_lexize('pg_catalog.english_stem', u.term) end as stems) s
$$;
