-- Refuses a change of a step's status that must not be.
create or replace function pipelines.check_step() returns trigger
language plpgsql
as $$
begin
    if not pipelines.step_may_become(old.status, new.status) then
        raise exception 'a step that is % cannot become %', old.status, new.status
            using errcode = 'check_violation', constraint = 'step_transition';
    end if;
    return new;
end
$$;
create or replace trigger step_transition before update of status on pipelines.step
for each row when (old.status is distinct from new.status)
execute function pipelines.check_step();
