-- One memory as an account may read it; null if it may not. What was forgotten is refused.
create or replace function memory.found(reader uuid, id uuid) returns jsonb
language plpgsql stable security definer set search_path = pg_catalog, pg_temp
as $$
declare
    answer jsonb := (
        select memory.memory_json(reader, m, v) from memory.memory m
        join memory.version v on v.memory_id = m.id and v.replaced_at is null
        where m.id = found.id and memory.level_in(reader, m.space_id) is not null);
begin
    if answer is null then
        perform memory.refuse_forgotten(reader, found.id);
    end if;
    return answer;
end
$$;
grant execute on function memory.found to gather_memory;
