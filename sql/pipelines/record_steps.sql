-- Writes changes of steps, as `pipelines.write_steps` does. If the database refuses what one of them says, that step fails
-- and the others are written, since the same commit would be refused again and again.
create or replace function pipelines.record_steps(r pipelines.run, steps jsonb) returns void
language plpgsql
as $$
declare
    step jsonb;
    why text;
    refused text;
begin
    begin
        perform pipelines.write_steps(r, steps);
        return;
    exception when data_exception or integrity_constraint_violation then
        get stacked diagnostics refused = constraint_name;
        if refused in ('step_transition', 'run_transition') then
            raise;
        end if;
    end;
    for step in select s from jsonb_array_elements(steps) s loop
        begin
            perform pipelines.write_steps(r, jsonb_build_array(step));
        exception when data_exception or integrity_constraint_violation then
            get stacked diagnostics refused = constraint_name, why = message_text;
            if refused in ('step_transition', 'run_transition') then
                raise;
            end if;
            perform pipelines.write_steps(r, jsonb_build_array(jsonb_build_object('path', step -> 'path',
                'type', step -> 'type', 'was', step -> 'was', 'effect', step -> 'effect', 'attempts', step -> 'attempts',
                'input', step -> 'input', 'output', null, 'status', 'failed', 'error', jsonb_build_object('code',
                    'output-invalid', 'detail', 'The step asks for what can''t be: ' || coalesce(
                        replace(nullif(refused, ''), '_', '-'), left(why, 200))))));
            update pipelines.run o set news = o.news + 1 where o.id = r.id;
        end;
    end loop;
end
$$;
