-- What an account may do in a space.
create or replace function memory.level_in(account uuid, space uuid) returns text
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select memory.level(account, s.scope, s.scope_id) from memory.space s where s.id = level_in.space
$$;
grant execute on function memory.level_in to gather_memory;
