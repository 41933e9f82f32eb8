-- The memories that a selector means, of those that an account may have forgotten.
--   selector  one of {ids}, {source: {type, id}}, {author}, {scope, scope_id}
create or replace function memory.selected(actor uuid, everybodys boolean, selector jsonb) returns uuid[]
language sql stable
as $$
    select array(
        select m.id from memory.memory m
        where m.id in (
            select platform.uuid_of(i) from jsonb_array_elements_text(selector -> 'ids') i
            union all
            select o.memory_id from memory.source o
            where o.type = selector #>> '{source,type}' and o.id
                = coalesce(platform.uuid_of(selector #>> '{source,id}')::text, selector #>> '{source,id}')
            union all
            select a.id from memory.memory a where a.author = platform.uuid_of(selector ->> 'author')
            union all
            select w.id from memory.space s join memory.memory w on w.space_id = s.id
            where s.scope = selector ->> 'scope' and s.place = memory.place((selector ->> 'scope_id')::uuid))
        and memory.may_forget(actor, everybodys, m))
$$;
