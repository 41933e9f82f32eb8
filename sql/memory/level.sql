-- What an account may do in a scope: `read`, `write` or `manage`; null: it does not know of the scope. This is the only
-- definition: each change, list, search and event asks here.
create or replace function memory.level(account uuid, scope text, scope_id uuid) returns text
language plpgsql stable security definer set search_path = pg_catalog, pg_temp
as $$
declare
    resolver text := (select k.level from memory.scope_kind k where k.kind = level.scope);
    answer text;
begin
    if resolver is null or account is null then
        return null;
    end if;
    execute format('select %s($1, $2)', resolver) into answer using account, scope_id;
    return answer;
end
$$;
grant execute on function memory.level to gather_memory, gather_memory_consolidate, gather_memory_forget;
