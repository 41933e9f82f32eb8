-- The trust that a memory has for an account that may read it. The memory is held, so that it can't be forgotten meanwhile.
create or replace function memory.trust_of_memory(account uuid, id text) returns text
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
begin
    perform from memory.memory m where m.id = platform.uuid_of(trust_of_memory.id) for key share;
    return (
        select memory.trust_for(memory.party(account), s.scope, v.author, v.trust)
        from memory.memory m join memory.space s on s.id = m.space_id
        join memory.version v on v.memory_id = m.id and v.replaced_at is null
        where m.id = platform.uuid_of(trust_of_memory.id)
        and memory.level(account, s.scope, s.scope_id) is not null);
end
$$;
