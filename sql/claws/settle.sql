-- What its owner wants of a claw is done: gives it the status. Returns that.
create or replace function claws.settle(c claws.claw, cause text) returns text
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    claw uuid := c.id;
begin
    if c.desired <> 'running' then
        if c.status <> 'failed' then
            c := claws.move(claw, c.desired, cause, c.reason);
        end if;
        return c.status;
    end if;
    if c.status = 'requested' then
        c := claws.move(claw, 'provisioning', 'provisioning');
        update claws.claw x set resumed = case when exists (
            select from claws.change h where h.claw_id = claw and h.to_status = 'running') then 'disk' else 'fresh' end
        where x.id = claw;
    elsif c.status = 'paused' then
        update claws.claw x set resumed = 'kept' where x.id = claw;
    end if;
    c := claws.move(claw, 'running', case c.status when 'paused' then cause else 'provisioned' end);
    perform circles.set_seat_state(claw, 'awake') where c.backend = 'wasm';
    return c.status;
end
$$;
