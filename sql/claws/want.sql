-- Sets what a claw that the caller holds shall be, and has that done. Returns the claw with its job. What it thinks obeys at
-- once; its status follows.
--   wanted  running, paused, stopped or deleted
--   anew    whether it begins to run again, and does not merely go on
create or replace function claws.want(claw uuid, wanted text, cause text, anew boolean default false,
    reason text default null) returns claws.claw
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    c claws.claw;
begin
    select x.* into c from claws.claw x where x.id = claw;
    if wanted = 'deleted' and c.status <> 'deleting' then
        insert into claws.change (claw_id, from_status, to_status, cause) values (claw, c.status, 'deleting', want.cause);
    end if;
    update claws.claw x set desired = wanted, generation = x.generation + 1, reason = left(want.reason, 1000),
        status = case wanted when 'deleted' then 'deleting' else x.status end
    where x.id = claw returning x.* into c;
    perform claws.tell(c, 'status') where wanted = 'deleted';
    perform identity.hold_name(claw) where wanted = 'deleted';
    if wanted in ('stopped', 'deleted') then
        perform claws.sign_out(claw);
    end if;
    if anew then
        perform claws.move(claw, 'requested', cause);
    end if;
    -- Until it runs, its turns wait.
    perform circles.set_seat_state(claw, case when wanted in ('running', 'paused') then 'paused' else 'stopped' end)
    where c.backend = 'wasm';
    update claws.claw x set job_id = jobs.enqueue('claw-provision',
        jsonb_build_object('claw', c.id, 'generation', c.generation, 'cause', want.cause), owner => c.owner_id,
        notify => 'claws.job_ended')
    where x.id = claw returning x.* into c;
    return c;
end
$$;
