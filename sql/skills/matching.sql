-- The skills that a query finds, the 1,000 that fit best. Relevance is in steps, and within each by the place and
-- number of the words:
--   3  the query is the name
--   2  the words, as they are written or in another form
--   1  every word, some with two letters swapped
--   0  words that look alike (trigrams): each one, or all of them as one text. The threshold is lower than the
--      extension's own, so that two letters may be wrong.
-- What stands in quotes or behind a minus is meant as it is written, so nothing is guessed then.
create or replace function skills.matching(query text) returns table (id uuid, relevance double precision)
language sql stable security definer
set search_path = pg_catalog, trigram, pg_temp
set pg_trgm.word_similarity_threshold = '0.45'
as $$
    with word as materialized (
        select w.word, skills.spellings(w.word) as spellings from skills.query_words(matching.query) w (word)
        where not skills.is_literal(matching.query)
    ), alike as materialized (
        select f.id, bool_and(f.is_spelt) as is_spelt, avg(f.similarity) as similarity
        from word w cross join lateral (
            select s.id, s.document @@ w.spellings as is_spelt, word_similarity(w.word, s.words) as similarity
            from skills.skill s
            where s.latest_id is not null and (s.document @@ w.spellings or w.word <% s.words)
        ) f
        group by f.id
        having count(*) = (select count(*) from word)
    ), candidate as (
        select s.id from skills.skill s
        where s.latest_id is not null and s.document @@ skills.search_query(matching.query)
        union
        select s.id from skills.skill s
        where s.latest_id is not null and lower(matching.query) <% s.words and exists (select from word offset 1)
        union
        select a.id from alike a
    )
    select s.id, round((
        case
            when s.name = replace(lower(btrim(matching.query)), ' ', '-') then 3
            when s.document @@ q.query then 2
            when a.is_spelt then 1
            else 0
        end
        + least(0.9999, (ts_rank(s.document, q.query)
            + greatest(a.similarity, word_similarity(lower(matching.query), s.words))) / 2)
        )::numeric, 4)::double precision as relevance
    from candidate c
    join skills.skill s on s.id = c.id
    left join alike a on a.id = c.id
    cross join lateral (select skills.search_query(matching.query) as query) q
    order by relevance desc, s.rank desc, s.id desc limit 1000
$$;
grant execute on function skills.matching to gather_skills;
