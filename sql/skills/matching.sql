-- The skills that a query finds, the 1,000 that fit best: by their words in any form, or by words that
-- look alike. The threshold is lower than the extension's own, so that two letters may be wrong.
create or replace function skills.matching(query text) returns table (id uuid, relevance double precision)
language sql stable security definer
set search_path = pg_catalog, trigram, pg_temp
set pg_trgm.word_similarity_threshold = '0.45'
as $$
    select s.id, round((
        ts_rank(s.document, q.query) + word_similarity(lower(matching.query), s.words)
        + case when s.name = lower(matching.query) then 1 else 0 end)::numeric, 4)::double precision as relevance
    from skills.skill s,
        lateral (select websearch_to_tsquery('english', matching.query)
            || websearch_to_tsquery('simple', matching.query) as query) q
    where s.latest_id is not null
    and (s.document @@ q.query or lower(matching.query) <% s.words)
    order by relevance desc, s.rank desc, s.id desc limit 1000
$$;
grant execute on function skills.matching to gather_skills;
