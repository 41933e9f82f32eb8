-- Starts a run of another pipeline for a step. One that can't be started is an answer to the step, too.
--   child  {"pipeline", "version", "input", "waits"}: if it does not wait, the answer is the run's id
create or replace function pipelines.start_child(r pipelines.run, path text, child jsonb) returns void
language plpgsql
as $$
declare
    made uuid;
    refused text := 'child_unknown';
begin
    begin
        made := (pipelines.start(pipelines.find_pipeline(r.account_id, child ->> 'pipeline'), r.account_id,
            (child ->> 'version')::integer, child -> 'input', null, r.priority, null, null, 'pipeline', r.id,
            start_child.path, r.event_id, r.depth) ->> 'run')::uuid;
    exception when check_violation then
        get stacked diagnostics refused = constraint_name;
    end;
    update pipelines.step s
    set child_id = made,
        answer = case when made is null then jsonb_build_object('status', 'failed', 'detail',
                format('The run can''t be started (%s).', replace(refused, '_', '-')))
            when not (child ->> 'waits')::boolean then jsonb_build_object('status', 'succeeded', 'result',
                jsonb_build_object('run', made)) end
    where s.run_id = r.id and s.path = start_child.path;
    if made is null or not (child ->> 'waits')::boolean then
        update pipelines.run o set news = o.news + 1 where o.id = r.id;
    end if;
end
$$;
