-- Withdraws the question of a step that was stopped, and cancels the run that it has started and the turns that it waits
-- for. The caller has locked the step's run, with those above it.
create or replace function pipelines.stop(run uuid, approval uuid, child uuid, conversation uuid) returns void
language plpgsql
as $$
begin
    if stop.approval is not null then
        perform inbox.void(stop.approval);
    end if;
    if stop.conversation is not null then
        perform circles.stop_asked(stop.conversation);
        perform pipelines.book(stop.run, stop.conversation);
    end if;
    if stop.child is not null then
        perform pipelines.stop_run(stop.child,
            '{"code": "cancelled", "detail": "The step that started the run was stopped."}', false);
    end if;
end
$$;
