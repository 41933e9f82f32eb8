-- The accounts that somebody who is signed in finds by name and description: active ones that have signed in, and none
-- that the reader has blocked or muted.
create or replace function identity.search(reader uuid, query text, kinds text[], most integer)
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
    if reader is null then
        return;
    end if;
    return query
        select 'account', a.id::text, a.name, search.excerpt(coalesce(g.description, p.description, ''), query), '/profiles/' || a.name,
            search.rank(a.name, t.words, query) as rank, a.created_at
        from identity.account a left join identity.agent g on g.account_id = a.id
        left join identity.person p on p.account_id = a.id
        cross join lateral (select concat_ws(' ', a.name, g.words, p.words) as words) t
        where a.id in (
            select n.id from identity.account n where n.name like patterns[1] or asked[1] <% n.name
            union
            select d.account_id from identity.agent d where d.words like patterns[1] or asked[1] <% d.words
            union
            select d.account_id from identity.person d where d.words like patterns[1] or asked[1] <% d.words)
        and a.status = 'active' and a.authenticated_at is not null and a.id <> all ((select social.shunned(reader))::uuid[])
        and (t.words like all (patterns) or search.alike(asked, t.words))
        order by rank desc, a.id desc limit most;
end
$$;
select search.register('account', 'identity.search');
