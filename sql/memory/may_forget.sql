-- Whether an account may have a memory forgotten: those who manage its scope, and who wrote it and may still write there.
-- `everybodys` says whether its token lets it change what is everybody's.
create or replace function memory.may_forget(actor uuid, everybodys boolean, memory memory.memory) returns boolean
language sql stable
as $$
    select coalesce(
        (l.level = 'manage' or l.level = 'write' and memory.author = actor) and (everybodys or l.scope <> 'global'), false)
    from (select s.scope, memory.level(actor, s.scope, s.scope_id) as level
        from memory.space s where s.id = memory.space_id) l
$$;
