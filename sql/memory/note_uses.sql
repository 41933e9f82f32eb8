-- Notes that memories were recalled.
create or replace function memory.note_uses(ids uuid[]) returns void
language sql security definer set search_path = pg_catalog, pg_temp
as $$
    update memory.memory m set uses = m.uses + 1, last_used_at = now()
    from (select o.id from memory.memory o where o.id = any (note_uses.ids) order by o.id for no key update skip locked) u
    where m.id = u.id
$$;
grant execute on function memory.note_uses to gather_memory;
