-- A claw that rests because it was idle goes on when it has something to think about.
create or replace function claws.wake() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
    perform claws.want(c.id, 'running', 'woken') from claws.claw c
    where c.id = new.agent_id and c.desired = 'paused' and c.reason = 'idle';
    return null;
end
$$;
create or replace trigger turn_wakes_claw after insert on circles.turn
for each row when (new.status = 'queued')
execute function claws.wake();
