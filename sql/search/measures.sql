-- The measures of the search over everything, in the form of `jobs.measures`.
create or replace function search.measures() returns setof jobs.measure
language sql stable
as $$
    select 'gather_searches_total', 'Searches of everything by the mode that answered.', true, 'mode', m.mode,
        coalesce(sum(c.count), 0)::double precision
    from unnest(array['hybrid', 'semantic', 'text', 'text-alone']) m (mode)
    left join search.search_count c on c.mode = m.mode
    group by m.mode
    union all
    select 'gather_search_without_vectors', 'Posts and messages that have no vectors yet.', false, null, null,
        count(*)::double precision
    from search.wanted
$$;
