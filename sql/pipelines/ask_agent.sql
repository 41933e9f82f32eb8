-- Asks an agent, a claw or a circle for a step. If it can't be asked, the step fails.
--   asked  {"kind", "name", "message", "task"}, as `circles.ask` takes them; the kind may be `claw`, too
create or replace function pipelines.ask_agent(r pipelines.run, path text, asked jsonb) returns void
language plpgsql
as $$
declare
    begun jsonb;
begin
    begun := circles.ask(r.account_id, case asked ->> 'kind' when 'circle' then 'circle' else 'agent' end,
        pipelines.addressee(r.account_id, asked ->> 'kind', asked ->> 'name')::text, format('Step %s of run %s', path, r.id),
        asked -> 'message', (asked -> 'task') || jsonb_build_object('cause', r.event_id, 'depth', r.depth));
    if begun ? 'refused' then
        update pipelines.step s
        set status = 'failed', finished_at = clock_timestamp(), error = jsonb_build_object('code', 'agent-failed',
            'detail', format('There is no %s %s that the run may ask.', asked ->> 'kind', asked ->> 'name'))
        where s.run_id = r.id and s.path = ask_agent.path;
        update pipelines.run o set news = o.news + 1 where o.id = r.id;
    else
        update pipelines.step s set conversation_id = (begun ->> 'conversation')::uuid
        where s.run_id = r.id and s.path = ask_agent.path;
    end if;
end
$$;
