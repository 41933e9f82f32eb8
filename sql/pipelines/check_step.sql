-- Checks a change of a step's status, which follows this diagram; a step may end from each of its states:
--
--   ready -> running -> retrying -> running
--     |-> retrying (held back by a breaker)
--               |-> uncertain -> ready (by hand), running (it has not arrived)
--   waiting -> retrying -> waiting
create or replace function pipelines.check_step() returns trigger
language plpgsql
as $$
begin
    if not (case old.status
        when 'ready' then new.status in ('running', 'waiting', 'retrying') or pipelines.is_end(new.status)
        when 'running' then new.status in ('retrying', 'uncertain') or pipelines.is_end(new.status)
        when 'retrying' then new.status in ('running', 'waiting') or pipelines.is_end(new.status)
        when 'uncertain' then new.status in ('ready', 'running') or pipelines.is_end(new.status)
        when 'waiting' then new.status = 'retrying' or pipelines.is_end(new.status)
        else false
    end) then
        raise exception 'a step that is % cannot become %', old.status, new.status
            using errcode = 'check_violation', constraint = 'step_transition';
    end if;
    return new;
end
$$;
create or replace trigger step_transition before update of status on pipelines.step
for each row when (old.status is distinct from new.status)
execute function pipelines.check_step();
