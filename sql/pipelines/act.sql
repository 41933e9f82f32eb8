-- Does what a schedule says, for one of its firings. What it can't do now fails the firing, and nothing else.
create or replace function pipelines.act(s pipelines.schedule, firing uuid) returns void
language plpgsql
as $$
declare
    refused text;
    started uuid;
    begun jsonb;
    fired pipelines.firing;
begin
    begin
        perform identity.require_active(s.owner_id);
        case s.action ->> 'type'
            when 'execute_pipeline' then
                started := (pipelines.start(s.pipeline_id, s.owner_id, (s.action ->> 'version')::integer,
                    coalesce(s.action -> 'input', 'null'), null, 0, null, null, 'schedule') ->> 'run')::uuid;
                if started is null then
                    perform identity.refuse('pipeline_gone');
                end if;
                update pipelines.firing f set status = 'running', run_id = started, fired_at = clock_timestamp()
                where f.id = act.firing returning f.* into fired;
            when 'send_notification' then
                perform pipelines.note(s.owner_id, s.action -> 'to', 'schedule', s.action ->> 'title',
                    coalesce(s.action ->> 'body', ''), '/schedules');
                update pipelines.firing f set status = 'succeeded', fired_at = clock_timestamp(),
                    finished_at = clock_timestamp() where f.id = act.firing returning f.* into fired;
            when 'run_task' then
                begun := circles.ask(s.owner_id, 'agent', s.action ->> 'agent', s.name, s.message,
                    jsonb_build_object('prompt', s.action ->> 'prompt'));
                if begun ? 'refused' then
                    perform identity.refuse('agent_unknown');
                end if;
                update pipelines.firing f set status = 'running', fired_at = clock_timestamp(),
                    conversation_id = (begun ->> 'conversation')::uuid,
                    job_id = (select t.job_id from circles.turn t where t.id = (begun ->> 'turn')::uuid)
                where f.id = act.firing returning f.* into fired;
            when 'call_api' then
                started := jobs.enqueue('schedule-dispatch', jsonb_build_object('firing', act.firing),
                    notify => 'pipelines.call_ended');
                update pipelines.firing f set status = 'running', job_id = started, fired_at = clock_timestamp()
                where f.id = act.firing returning f.* into fired;
        end case;
    exception when check_violation or foreign_key_violation then
        get stacked diagnostics refused = constraint_name;
        update pipelines.firing f set status = 'failed', reason = replace(refused, '_', '-'),
            fired_at = clock_timestamp(), finished_at = clock_timestamp() where f.id = act.firing returning f.* into fired;
    end;
    if fired.finished_at is not null then
        insert into pipelines.ended (what, status) values ('firing', fired.status);
    end if;
    perform pipelines.tell_schedule('schedule.fired', s.id, jsonb_build_object('firing', fired.id, 'due_at', fired.due_at,
        'status', fired.status, 'run', fired.run_id));
end
$$;
