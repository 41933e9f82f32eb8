-- Checks a change of a turn's status, which follows this diagram:
--
--   queued -> running -> completed | failed | cancelled | limited
--               |-> waiting -> running
--   queued and waiting turns can end in all ways too
create or replace function circles.check_turn_transition() returns trigger
language plpgsql
as $$
begin
    if not (case old.status
        when 'queued' then new.status in ('running', 'failed', 'cancelled', 'limited')
        when 'running' then new.status in ('waiting', 'completed', 'failed', 'cancelled', 'limited')
        when 'waiting' then new.status in ('running', 'completed', 'failed', 'cancelled', 'limited')
        else false
    end) then
        raise exception 'a turn that is % cannot become %', old.status, new.status
            using errcode = 'check_violation', constraint = 'turn_transition';
    end if;
    return new;
end
$$;
create or replace trigger turn_transition before update of status on circles.turn
for each row when (old.status is distinct from new.status)
execute function circles.check_turn_transition();
