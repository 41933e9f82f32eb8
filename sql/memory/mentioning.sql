-- The memories that an account finds by their words in the search over everything, of the scopes that it may read. Memories
-- that look alike are found where none has the words as they are written.
create or replace function memory.mentioning(reader uuid, query text, kinds text[], most integer)
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
    spaces uuid[] := array(select memory.spaces_of(reader));
begin
    return query
        select 'memory', f.id::text, coalesce(f.key, 'Memory'), search.excerpt(f.content, query), '/memory/' || f.id,
            search.rank('', f.words, query) as rank, f.created_at
        from (
            select m.id, m.key, v.content, v.words, m.created_at
            from memory.version v join memory.memory m on m.id = v.memory_id
            where v.words like patterns[1] and v.words like all (patterns) and v.replaced_at is null
            and v.space_id = any (spaces) and memory.holds(m, v, null)
            order by m.id desc limit most) f;
    -- A word without trigrams looks like nothing, and no index helps to find that out.
    if not found and cardinality(show_trgm(asked[1])) > 0 then
        return query
            select 'memory', f.id::text, coalesce(f.key, 'Memory'), search.excerpt(f.content, query), '/memory/' || f.id,
                search.rank('', f.words, query) as rank, f.created_at
            from (
                select m.id, m.key, v.content, v.words, m.created_at
                from memory.version v join memory.memory m on m.id = v.memory_id
                where asked[1] <% v.words and (cardinality(asked) = 1 or search.alike(asked[2:], v.words))
                and v.replaced_at is null and v.space_id = any (spaces) and memory.holds(m, v, null)
                order by m.id desc limit most) f;
    end if;
end
$$;
select search.register('memory', 'memory.mentioning', 'memory.meant', null, 'memory:read');
