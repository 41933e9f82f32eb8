-- The skills that anybody finds: those with an approved version, as `matching` finds them, and by parts of words, for
-- languages without spaces.
create or replace function skills.search(reader uuid, query text, kinds text[], most integer)
returns table (kind text, id text, title text, snippet text, url text, rank real, created_at timestamptz)
language plpgsql stable security definer set search_path = pg_catalog, pg_temp
-- The plan depends on the words.
set plan_cache_mode = force_custom_plan
as $$
#variable_conflict use_column
declare
    patterns text[] := search.patterns(query);
begin
    return query
        select 'skill', s.id::text, s.name, search.excerpt(s.description, query), '/skills/' || s.name, f.rank, s.created_at
        from (
            select e.id, max(e.relevance)::real as rank from (
                select m.id, m.relevance from skills.matching(query) m
                union all
                select p.id, search.rank(p.name, p.words, query) from skills.skill p
                where p.latest_id is not null and not skills.is_literal(query)
                and p.words like patterns[1] and p.words like all (patterns)
            ) e
            group by e.id
        ) f join skills.skill s on s.id = f.id
        order by f.rank desc, s.rank desc, s.id desc limit most;
end
$$;
select search.register('skill', 'skills.search');
