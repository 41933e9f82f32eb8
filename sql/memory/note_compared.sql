-- Notes that the meanings of memories were compared, `[{id, version}]`, unless they have changed meanwhile.
create or replace function memory.note_compared(compared jsonb) returns void
language sql security definer set search_path = pg_catalog, pg_temp
as $$
    update memory.memory m set compared = c.version
    from (select o.id, c.version from jsonb_to_recordset(note_compared.compared) as c (id uuid, version integer)
        join memory.memory o on o.id = c.id and o.version = c.version
        order by o.id for no key update of o skip locked) c
    where m.id = c.id
$$;
grant execute on function memory.note_compared to gather_memory_consolidate;
