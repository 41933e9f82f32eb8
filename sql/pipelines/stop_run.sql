-- Cancels a run that the caller has locked, with those above it: first the runs that its steps have started, then itself.
-- One that is sending something, or has a `finally`, is given five seconds to end by itself; then, or by `force`, what is
-- open is given up and `finally` has its own time. Force ends a `finally` that has begun. Answers whether the run has
-- ended.
create or replace function pipelines.stop_run(run uuid, why jsonb, force boolean) returns boolean
language plpgsql
as $$
declare
    r pipelines.run;
    child uuid;
    is_open boolean := false;
    winds_up boolean;
begin
    select o.* into r from pipelines.run o where o.id = stop_run.run for update;
    if r.finished_at is not null then
        return true;
    end if;
    update pipelines.run o
    set cancels = coalesce(o.cancels, why), is_forced = o.is_forced or stop_run.force, is_paused = false
    where o.id = r.id;
    for child in
        select s.child_id from pipelines.step s
        where s.run_id = r.id and s.finished_at is null and s.child_id is not null order by s.child_id
    loop
        is_open := not pipelines.stop_run(child,
            '{"code": "cancelled", "detail": "The run that started it is cancelled."}', force) or is_open;
    end loop;
    -- One that has begun nothing has nothing to put in order.
    select v.definition ? 'finally' and r.started_at is not null
        and exists (select from pipelines.step s where s.run_id = r.id) into winds_up
    from pipelines.version v where v.pipeline_id = r.pipeline_id and v.number = r.version;
    if force then
        winds_up := winds_up and not exists (
            select from pipelines.step s where s.run_id = r.id and s.path = 'finally');
    end if;
    if not winds_up and (force or not (is_open or r.status in ('running', 'cancelling'))) then
        perform pipelines.end_run(r.id, 'cancelled', null, coalesce(r.cancels, why));
        return true;
    end if;
    if r.status <> 'cancelling' then
        update pipelines.run o set status = 'cancelling' where o.id = r.id;
        perform pipelines.tell('run.cancelling', r.pipeline_id, r.id,
            jsonb_build_object('run', r.id, 'status', 'cancelling'));
        if not force then
            perform jobs.enqueue('pipeline-run', jsonb_build_object('forces', r.id),
                run_at => clock_timestamp() + interval '5 seconds');
            perform pipelines.wake(r.id);
        end if;
    end if;
    if force and not r.is_forced then
        -- Another driver, since the present one may be busy with what is given up.
        perform pipelines.drive(r.id, null);
    end if;
    return false;
end
$$;
