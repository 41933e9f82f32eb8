-- Forgets one memory, which its author and those who manage its scope may do, and all that came of it.
create or replace function memory.forget_one(actor uuid, everybodys boolean, id uuid, expected text[], client jsonb) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    target memory.memory;
    erased record;
begin
    perform identity.require_active(actor);
    target := memory.seen(actor, forget_one.id);
    if not memory.may_forget(actor, everybodys, target) then
        perform identity.refuse('memory_foreign');
    elsif target.version::text <> all (expected) then
        perform identity.refuse('memory_version');
    end if;
    select * into erased from memory.erase(array[target.id], actor);
    perform audit.record(actor, 'memory.forgotten', target.id::text, true, client ->> 'address', client ->> 'request_id',
        erased.counts);
end
$$;
grant execute on function memory.forget_one to gather_memory;
