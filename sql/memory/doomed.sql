-- What goes with memories: what was made from them, what they superseded, and so on. All of it is locked until nothing more
-- is found, so that nothing comes of it meanwhile.
create or replace function memory.doomed(roots uuid[]) returns uuid[]
language plpgsql
as $$
declare
    known uuid[] := '{}';
    all_of_them uuid[];
begin
    loop
        with recursive doomed (id) as (
            select unnest(roots)
            union
            select n.id from doomed d cross join lateral (
                select o.memory_id as id from memory.source o where o.type = 'memory' and o.id = d.id::text
                union all
                select m.id from memory.memory m where m.superseded_by = d.id) n
        )
        select coalesce(array_agg(m.id order by m.id), '{}') into all_of_them
        from doomed d join memory.memory m on m.id = d.id;
        exit when all_of_them = known;
        perform from memory.memory m where m.id = any (all_of_them) order by m.id for update;
        known := all_of_them;
    end loop;
    return known;
end
$$;
