-- Emits that something became of a claw. What it is told of its environment is for reading, and not for events.
create or replace function claws.tell(c claws.claw, what text) returns void
language sql security definer set search_path = pg_catalog, pg_temp
as $$
    select events.emit(array['claw:' || c.id, 'account:' || c.owner_id], 'claw.' || what,
        claws.claw_json(c) - 'env' - 'secrets', null, c.id)
$$;
