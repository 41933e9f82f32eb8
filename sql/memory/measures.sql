-- The measures of memory, in the form of `jobs.measures`.
create or replace function memory.measures() returns setof jobs.measure
language sql stable
as $$
    select 'gather_memory_searches_total', 'Searches of memories by the mode that answered.', true, 'mode', m.mode,
        coalesce(sum(c.count), 0)::double precision
    from unnest(array['hybrid', 'semantic', 'text', 'text-alone']) m (mode)
    left join memory.search_count c on c.mode = m.mode
    group by m.mode
$$;
