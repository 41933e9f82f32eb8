-- Writes changes of steps, as `pipelines.write_steps` does. If the database refuses what one of them says, that step fails,
-- since the same commit would be refused again and again. Then only the answers to requests are written beside it: what
-- was computed from the step is computed again.
create or replace function pipelines.record_steps(r pipelines.run, steps jsonb) returns void
language plpgsql
as $$
declare
    step jsonb;
    why text;
    refused text;
    is_found boolean := false;
begin
    begin
        perform pipelines.write_steps(r, steps);
        return;
    exception when data_exception or integrity_constraint_violation or raise_exception then
        get stacked diagnostics refused = constraint_name, why = message_text;
        if refused in ('step_transition', 'run_transition') then
            raise;
        end if;
    end;
    for step in select s from jsonb_array_elements(steps) s loop
        begin
            perform pipelines.write_steps(r, jsonb_build_array(step));
            if step ->> 'was' is distinct from 'running' then
                raise exception 'taken back' using errcode = 'GA001';
            end if;
        exception
            when sqlstate 'GA001' then null;
            when data_exception or integrity_constraint_violation or raise_exception then
                get stacked diagnostics refused = constraint_name, why = message_text;
                is_found := true;
                perform pipelines.write_steps(r, jsonb_build_array(jsonb_build_object('path', step -> 'path',
                    'type', step -> 'type', 'was', step -> 'was', 'effect', step -> 'effect',
                    'attempts', step -> 'attempts', 'input', step -> 'input', 'status', 'failed',
                    'error', jsonb_build_object('code', 'output-invalid', 'detail', 'What the step asks for is refused: '
                        || coalesce(replace(nullif(refused, ''), '_', '-'), left(why, 200))))));
        end;
    end loop;
    if not is_found then
        raise exception 'changes are refused together, though none of them is alone: %', why;
    end if;
    update pipelines.run o set news = o.news + 1 where o.id = r.id;
end
$$;
