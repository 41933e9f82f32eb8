-- Archives memories that have not changed since they were read, `[{id, version}]`, and returns the ids of those.
create or replace function memory.archive(faded jsonb) returns setof uuid
language sql security definer set search_path = pg_catalog, pg_temp
as $$
    update memory.memory m set state = 'archived'
    from jsonb_to_recordset(faded) as f (id uuid, version integer)
    where m.id = f.id and m.version = f.version and m.state = 'active'
    returning m.id
$$;
grant execute on function memory.archive to gather_memory_consolidate;
