-- Tells a step that waits for an event which one has come: {"which", "data"}, or {"fault"} if that can't be decided. The
-- first one counts.
create or replace function pipelines.take_event(run uuid, path text, answer jsonb) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
    -- The run first, as everybody does.
    perform from pipelines.run r where r.id = take_event.run for update;
    update pipelines.step s set answer = take_event.answer
    where s.run_id = take_event.run and s.path = take_event.path and s.status = 'waiting' and s.answer is null;
    if found then
        perform pipelines.wake(take_event.run);
    end if;
end
$$;
grant execute on function pipelines.take_event to gather_pipeline_run;
