-- The spaces in which an account looks: those of the named scopes, `[{scope, scope_id}]`, or, without any, all that it
-- belongs to. What it may not read is left out.
create or replace function memory.spaces_of(account uuid, scopes jsonb default null) returns setof uuid
language plpgsql stable rows 20 security definer set search_path = pg_catalog, pg_temp
as $$
declare
    known memory.scope_kind;
begin
    if scopes is not null then
        return query
            select n.id from (
                select s.id, s.scope, s.scope_id from jsonb_to_recordset(scopes) as o (scope text, scope_id uuid)
                join memory.space s on s.scope = o.scope and s.place = memory.place(o.scope_id) offset 0) n
            where memory.level(account, n.scope, n.scope_id) is not null;
        return;
    end if;
    for known in select * from memory.scope_kind loop
        -- The level is asked for after the join, of these scopes alone.
        return query execute format(
            'select n.id from (
                 select s.id, s.scope, s.scope_id from %s($1) i
                 join memory.space s on s.scope = $2 and s.place = memory.place(i) offset 0) n
             where memory.level($1, n.scope, n.scope_id) is not null', known.ids)
            using account, known.kind;
    end loop;
end
$$;
grant execute on function memory.spaces_of to gather_memory;
