-- The space of a scope, made if there is none yet and held until the end of the transaction. Whoever may only read there is
-- refused.
create or replace function memory.space_for(actor uuid, scope text, scope_id uuid) returns memory.space
language plpgsql
as $$
declare
    level text := memory.level(actor, space_for.scope, space_for.scope_id);
    found_space memory.space;
begin
    if level is null then
        perform identity.refuse('memory_scope');
    elsif level = 'read' then
        perform identity.refuse('memory_foreign');
    end if;
    insert into memory.space (scope, scope_id) values (space_for.scope, space_for.scope_id)
    on conflict on constraint space_key do nothing;
    select s.* into found_space from memory.space s
    where s.scope = space_for.scope and s.place = memory.place(space_for.scope_id) for no key update;
    return found_space;
end
$$;
