-- Makes of a claw what its owner wants, for a job of one generation: an older one does nothing. A wasm claw needs nothing but
-- its rows. Returns the claw's status; null: there is nothing to do, or it is gone.
create or replace function claws.act(claw uuid, generation integer, cause text) returns text
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    c claws.claw;
begin
    -- Nothing that is being deleted is wanted otherwise again, and whoever leaves is locked before its claws.
    if exists (select from claws.claw x where x.id = claw and x.generation = act.generation and x.desired = 'deleted') then
        perform identity.leave(claw, '{}');
        return 'deleted';
    end if;
    select x.* into c from claws.claw x where x.id = claw and x.generation = act.generation for update;
    if c.id is null then
        return null;
    elsif c.desired = 'running' then
        if c.status = 'requested' then
            c := claws.move(claw, 'provisioning', 'provisioning');
            update claws.claw x set resumed = case when exists (
                select from claws.change h where h.claw_id = claw and h.to_status = 'running') then 'disk' else 'fresh' end
            where x.id = claw;
        elsif c.status = 'paused' then
            update claws.claw x set resumed = 'kept' where x.id = claw;
        end if;
        c := claws.move(claw, 'running', case c.status when 'paused' then cause else 'provisioned' end);
        perform circles.set_seat_state(claw, 'awake');
    else
        if c.status <> 'failed' then
            c := claws.move(claw, c.desired, cause, c.reason);
        end if;
    end if;
    return c.status;
end
$$;
grant execute on function claws.act(uuid, integer, text) to gather_claw_provision;
