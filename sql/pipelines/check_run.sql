-- Refuses a change of a run's status that must not be.
create or replace function pipelines.check_run() returns trigger
language plpgsql
as $$
begin
    if not pipelines.run_may_become(old.status, new.status) then
        raise exception 'a run that is % cannot become %', old.status, new.status
            using errcode = 'check_violation', constraint = 'run_transition';
    end if;
    return new;
end
$$;
create or replace trigger run_transition before update of status on pipelines.run
for each row when (old.status is distinct from new.status)
execute function pipelines.check_run();
