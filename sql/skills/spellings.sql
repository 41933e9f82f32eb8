-- A word as it is written, and with each two neighbours among its letters swapped. Trigrams can't do it: `wrod` and
-- `word` share but one.
create or replace function skills.spellings(word text) returns tsquery
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
    select to_tsquery('english', string_agg(distinct s.word, ' | '))
    from (
        select spellings.word
        union all
        select left(spellings.word, n - 1) || substr(spellings.word, n + 1, 1) || substr(spellings.word, n, 1)
            || substr(spellings.word, n + 2)
        from generate_series(1, char_length(spellings.word) - 1) n
        where char_length(spellings.word) between 3 and 24
    ) s (word)
$$;
