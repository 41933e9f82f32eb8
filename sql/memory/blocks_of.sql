-- The blocks that an account may read in scopes, by scope and label.
create or replace function memory.blocks_of(reader uuid, scopes jsonb) returns setof jsonb
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select memory.block_json(reader, b)
    from memory.spaces_of(reader, scopes) space join memory.block b on b.space_id = space
    order by b.space_id, b.label
$$;
grant execute on function memory.blocks_of to gather_memory;
