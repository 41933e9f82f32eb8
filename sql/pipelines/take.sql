-- Gives a run to the job that drives it from now on, under a new epoch: what an earlier driver still does changes nothing.
-- Answers its state, its definition and the skills that this calls; null if the run has ended, or another job drives it.
create or replace function pipelines.take(run uuid, job uuid) returns jsonb
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    r pipelines.run;
    v pipelines.version;
    was text;
begin
    select o.* into r from pipelines.run o
    where o.id = take.run and o.job_id = take.job and o.finished_at is null for update;
    if not found then
        return null;
    end if;
    was := r.status;
    select o.* into v from pipelines.version o where o.pipeline_id = r.pipeline_id and o.number = r.version;
    update pipelines.run o
    set epoch = o.epoch + 1, wake_at = null, is_lost = false,
        status = case o.status when 'cancelling' then o.status else 'running' end, started_at = coalesce(o.started_at, clock_timestamp()),
        deadline_at = case when o.started_at is null
            then clock_timestamp() + (v.definition ->> 'timeout_ms')::bigint * interval '1 millisecond'
            else o.deadline_at end
    where o.id = r.id returning o.* into r;
    if was in ('queued', 'waiting') then
        perform pipelines.tell('run.running', r.pipeline_id, r.id, jsonb_build_object('run', r.id, 'status', 'running'));
    end if;
    return pipelines.state(r) || jsonb_build_object('definition', v.definition, 'skills', v.skills);
end
$$;
grant execute on function pipelines.take to gather_pipeline_run;
