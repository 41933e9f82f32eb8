-- Cancels a run that the caller has locked, with those above it: first the runs that its steps have started, then itself.
-- One that is sending something, or has a `finally`, is given five seconds to end by itself. Answers whether it has ended.
create or replace function pipelines.stop_run(run uuid, why jsonb, force boolean) returns boolean
language plpgsql
as $$
declare
    r pipelines.run;
    child uuid;
    is_open boolean := false;
begin
    select o.* into r from pipelines.run o where o.id = stop_run.run for update;
    if r.finished_at is not null or stop_run.force then
        perform pipelines.end_run(r.id, 'cancelled', null, why);
        return true;
    end if;
    update pipelines.run o set cancels = coalesce(o.cancels, why), is_paused = false where o.id = r.id;
    for child in
        select s.child_id from pipelines.step s
        where s.run_id = r.id and s.finished_at is null and s.child_id is not null order by s.child_id
    loop
        is_open := not pipelines.stop_run(child,
            '{"code": "cancelled", "detail": "The run that started it is cancelled."}', false) or is_open;
    end loop;
    select is_open or r.status in ('running', 'cancelling') or (r.started_at is not null and v.definition ? 'finally')
        into is_open
    from pipelines.version v where v.pipeline_id = r.pipeline_id and v.number = r.version;
    if not is_open then
        perform pipelines.end_run(r.id, 'cancelled', null, why);
        return true;
    elsif r.status <> 'cancelling' then
        update pipelines.run o set status = 'cancelling' where o.id = r.id;
        perform pipelines.tell('run.cancelling', r.pipeline_id, r.id,
            jsonb_build_object('run', r.id, 'status', 'cancelling'));
        perform jobs.enqueue('pipeline-run', jsonb_build_object('forces', r.id),
            run_at => clock_timestamp() + interval '5 seconds');
        perform pipelines.wake(r.id);
    end if;
    return false;
end
$$;
