-- A step ends once, and what ended stays as it is.
create or replace function circles.check_step_transition() returns trigger
language plpgsql
as $$
begin
    raise exception 'a step that is % cannot become %', old.status, new.status
        using errcode = 'check_violation', constraint = 'step_transition';
end
$$;
create or replace trigger step_transition before update of status on circles.step
for each row when (old.status <> 'started' and old.status is distinct from new.status)
execute function circles.check_step_transition();
