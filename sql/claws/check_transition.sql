-- Checks a change of a claw's status, which follows this diagram:
--
--   requested -> provisioning -> running <-> paused
--                                running -> unhealthy -> running | failed
--   a start or a restart requests it again, and a stop stops all that is not
--   every status -> deleting
create or replace function claws.check_transition() returns trigger
language plpgsql
as $$
begin
    if not (new.status = 'deleting' or case old.status
        when 'requested' then new.status in ('provisioning', 'stopped', 'failed')
        when 'provisioning' then new.status in ('running', 'requested', 'stopped', 'failed')
        when 'running' then new.status in ('paused', 'unhealthy', 'requested', 'stopped', 'failed')
        when 'paused' then new.status in ('running', 'requested', 'stopped', 'failed')
        when 'unhealthy' then new.status in ('running', 'requested', 'stopped', 'failed')
        when 'stopped' then new.status = 'requested'
        when 'failed' then new.status = 'requested'
        else false
    end) then
        raise exception 'a claw that is % cannot become %', old.status, new.status
            using errcode = 'check_violation', constraint = 'claw_transition';
    end if;
    return new;
end
$$;
create or replace trigger claw_transition before update of status on claws.claw
for each row when (old.status is distinct from new.status)
execute function claws.check_transition();
