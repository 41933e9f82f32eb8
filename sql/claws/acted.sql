-- Takes what came of what the provisioner was asked for a claw, unless something else is wanted by now. A container that has
-- begun runs when it is heard of. Returns the claw's status; null: it is gone, or something else is wanted.
--   fault  why it can't be done, for good; null: it is done
create or replace function claws.acted(claw uuid, generation integer, cause text, fault text) returns text
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    c claws.claw;
begin
    if fault is null and exists (select from claws.claw x
        where x.id = claw and x.generation = acted.generation and x.desired = 'deleted') then
        perform identity.leave(claw, '{}');
        return 'deleted';
    end if;
    select x.* into c from claws.claw x where x.id = claw and x.generation = acted.generation for update;
    if c.id is null then
        return null;
    elsif c.status = 'failed' then
        return c.status;
    elsif fault is not null and c.desired = 'running' then
        perform claws.give_up(claw, fault, null);
        return 'failed';
    elsif c.desired = 'running' and c.status = 'provisioning' then
        perform claws.look_again(claw, interval '5 seconds');
        return 'provisioning';
    end if;
    -- What can't be paused or stopped does not run.
    if c.status = 'paused' and c.desired = 'running' then
        update claws.claw x set last_seen_at = clock_timestamp() where x.id = claw;
        perform claws.look_again(claw, interval '10 seconds');
    end if;
    return claws.settle(c, cause);
end
$$;
grant execute on function claws.acted(uuid, integer, text, text) to gather_claw_provision;
