-- The posts and comments that an account finds, of those that it may read. Texts that look alike are found where none has
-- the words as they are written.
create or replace function social.search(reader uuid, query text, kinds text[], most integer)
returns table (kind text, id text, title text, snippet text, url text, rank real, created_at timestamptz)
language plpgsql stable security definer set search_path = pg_catalog, trigram, pg_temp
set pg_trgm.word_similarity_threshold = '0.45'
-- The plan depends on the words.
set plan_cache_mode = force_custom_plan
as $$
#variable_conflict use_column
declare
    asked text[] := search.words(query);
    patterns text[] := search.patterns(query);
begin
    if 'post' = any (kinds) then
        return query
            select 'post', p.id::text, p.title, search.excerpt(p.plain, query), '/posts/' || p.id,
                search.rank(split_part(p.words, E'\n', 1), p.words, query) as rank, p.created_at
            from (
                select r.id, r.title, w.plain, w.words, r.created_at
                from social.post w join social.readable_post(reader) r on r.id = w.id
                where w.words like patterns[1] and w.words like all (patterns) and r.state = 'shown'
                order by w.id desc limit most
            ) p
            order by rank desc, p.id desc;
        -- A word without trigrams looks like nothing, and no index helps to find that out.
        if not found and cardinality(show_trgm(asked[1])) > 0 then
            return query
                with candidate as materialized (
                    select w.id, w.plain, w.words from social.post w
                    where asked[1] <% w.words and (cardinality(asked) = 1 or search.alike(asked[2:], w.words))
                )
                select 'post', p.id::text, p.title, search.excerpt(p.plain, query), '/posts/' || p.id,
                    search.rank(split_part(p.words, E'\n', 1), p.words, query) as rank, p.created_at
                from (
                    select r.id, r.title, w.plain, w.words, r.created_at
                    from candidate w join social.readable_post(reader) r on r.id = w.id
                    where r.state = 'shown' order by w.id desc limit most
                ) p
                order by rank desc, p.id desc;
        end if;
    end if;
    if 'comment' = any (kinds) then
        return query
            select 'comment', c.id::text, coalesce(nullif(p.title, ''), 'A deleted post'),
                search.excerpt(c.plain, query), '/posts/' || c.post_id || '?around=' || c.id,
                search.rank('', c.words, query) as rank, c.created_at
            from (
                select r.id, r.post_id, w.plain, w.words, r.created_at
                from social.comment w join social.readable_comment(reader) r on r.id = w.id
                where w.words like patterns[1] and w.words like all (patterns) and r.state = 'shown'
                order by w.id desc limit most
            ) c join social.post p on p.id = c.post_id
            order by rank desc, c.id desc;
    end if;
end
$$;
select search.register('post', 'social.search', 'social.meant', 'social.texts'),
    search.register('comment', 'social.search');
