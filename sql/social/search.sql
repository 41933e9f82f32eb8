-- Posts and comments that have all the words of a query, of those that the reader may read, best first.
--   query  words, folded as those of the texts are: `markdown::folded`
--   kinds  `post`, `comment`; others find nothing here. Null: both
create or replace function social.search(reader uuid, query text, kinds text[], most integer)
returns table (kind text, id text, title text, snippet text, url text, rank real, created_at timestamptz)
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    with word as (
        select '%' || replace(replace(replace(w, '\', '\\'), '%', '\%'), '_', '\_') || '%' as pattern
        from regexp_split_to_table(lower(normalize(search.query, nfkc)), '\s+') w where w <> '' limit 8
    ),
    wanted as (
        select array_agg(pattern) as patterns, (array_agg(pattern order by length(pattern) desc))[1] as longest
        from word having count(*) > 0
    ),
    post as (
        select 'post', p.id::text, p.title, left(w.plain, 200), '/posts/' || p.id,
            (case when split_part(w.words, E'\n', 1) like all (q.patterns) then 1 else 0.5 end)::real as rank, p.created_at
        from wanted q, social.post w join social.readable_post(reader) p on p.id = w.id
        where (kinds is null or 'post' = any (kinds)) and w.words like q.longest and w.words like all (q.patterns)
        and p.state = 'shown'
        order by rank desc, p.id desc limit search.most
    ),
    comment as (
        select 'comment', c.id::text, p.title, left(w.plain, 200), '/posts/' || c.post_id || '?around=' || c.id,
            0.4::real as rank, c.created_at
        from wanted q, social.comment w join social.readable_comment(reader) c on c.id = w.id
        join social.post p on p.id = c.post_id
        where (kinds is null or 'comment' = any (kinds)) and w.words like q.longest and w.words like all (q.patterns)
        and c.state = 'shown'
        order by c.id desc limit search.most
    )
    select * from (select * from post union all select * from comment) found
    order by found.rank desc, found.created_at desc limit search.most
$$;
