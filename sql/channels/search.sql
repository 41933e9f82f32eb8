-- The channels and messages that an account finds: of the channels that it may read, and of `readable_message`. Messages
-- that look alike are found where none has the words as they are written.
create or replace function channels.search(reader uuid, query text, kinds text[], most integer)
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
    if 'channel' = any (kinds) then
        return query
            select 'channel', c.id::text, '#' || c.name, search.excerpt(c.topic, query), '/channels/' || c.id,
                search.rank(c.name, c.words, query) as rank, c.created_at
            from channels.channel c
            where c.id in (
                select p.id from channels.channel p
                where not p.private and (p.words like patterns[1] or asked[1] <% p.words)
                union
                select b.channel_id from channels.member b where b.account_id = reader)
            and c.name is not null and channels.may_read(reader, c.id)
            and (c.words like all (patterns) or search.alike(asked, c.words))
            order by rank desc, c.id desc limit most;
    end if;
    if 'message' = any (kinds) then
        return query
            select 'message', m.id::text, coalesce('#' || c.name, 'Direct message'), search.excerpt(m.plain, query),
                '/channels/' || c.id || '?around=' || m.id, search.rank('', m.words, query), m.created_at
            from (
                select r.id, r.channel_id, r.plain, w.words, r.created_at
                from channels.message w join channels.readable_message(reader) r on r.id = w.id
                where w.words like patterns[1] and w.words like all (patterns) and r.state = 'shown'
                order by w.id desc limit most
            ) m join channels.channel c on c.id = m.channel_id;
        -- A word without trigrams looks like nothing, and no index helps to find that out.
        if not found and cardinality(show_trgm(asked[1])) > 0 then
            return query
                with candidate as materialized (
                    select w.id, w.words from channels.message w
                    where asked[1] <% w.words and (cardinality(asked) = 1 or search.alike(asked[2:], w.words))
                )
                select 'message', m.id::text, coalesce('#' || c.name, 'Direct message'), search.excerpt(m.plain, query),
                    '/channels/' || c.id || '?around=' || m.id, search.rank('', m.words, query), m.created_at
                from (
                    select r.id, r.channel_id, r.plain, w.words, r.created_at
                    from candidate w join channels.readable_message(reader) r on r.id = w.id
                    where r.state = 'shown' order by w.id desc limit most
                ) m join channels.channel c on c.id = m.channel_id;
        end if;
    end if;
end
$$;
select search.register('channel', 'channels.search'),
    search.register('message', 'channels.search', 'channels.meant', 'channels.texts');
