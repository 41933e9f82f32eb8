-- Checks a change of a run's status: ended is final, what is cancelled only ends, and only a run that was paused is queued
-- again.
create or replace function pipelines.check_run() returns trigger
language plpgsql
as $$
begin
    if pipelines.is_end(old.status) or (new.status = 'queued' and old.status <> 'paused')
        or (old.status = 'cancelling' and not pipelines.is_end(new.status)) then
        raise exception 'a run that is % cannot become %', old.status, new.status
            using errcode = 'check_violation', constraint = 'run_transition';
    end if;
    return new;
end
$$;
create or replace trigger run_transition before update of status on pipelines.run
for each row when (old.status is distinct from new.status)
execute function pipelines.check_run();
