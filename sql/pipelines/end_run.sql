-- Ends a run, once and for ever. Steps that have not ended are cancelled with the runs that they have started, questions
-- are withdrawn, the run above it goes on, and whoever still drives it changes nothing any more. Answers whether it had not
-- ended before.
create or replace function pipelines.end_run(run uuid, status text, result jsonb, error jsonb) returns boolean
language plpgsql
as $$
declare
    r pipelines.run;
    job uuid;
    stopped record;
begin
    perform pipelines.lock_run(end_run.run);
    select o.* into r from pipelines.run o where o.id = end_run.run and o.finished_at is null for update;
    if not found then
        return false;
    end if;
    job := r.job_id;
    for stopped in
        update pipelines.step s
        set status = case when end_run.status = 'timed_out' then 'timed_out' else 'cancelled' end,
            finished_at = clock_timestamp(), wake_at = null
        where s.run_id = r.id and s.finished_at is null
        returning s.approval_id, s.child_id, s.conversation_id, s.subscriptions
    loop
        perform events.drop_subscriptions(stopped.subscriptions);
        perform pipelines.stop(r.id, stopped.approval_id, stopped.child_id, stopped.conversation_id);
    end loop;
    update pipelines.run o
    set status = end_run.status, result = end_run.result, error = end_run.error, finished_at = clock_timestamp(),
        forgotten_at = clock_timestamp() + coalesce((select (v.definition ->> 'keep_ms')::bigint
            from pipelines.version v where v.pipeline_id = o.pipeline_id and v.number = o.version), 2592000000)
            * interval '1 millisecond',
        epoch = o.epoch + 1, job_id = null, wake_at = null, is_paused = false
    where o.id = r.id;
    -- What the step that waits for it makes of that is decided by whoever drives its run.
    update pipelines.step s
    set answer = jsonb_build_object('status', end_run.status, 'result', end_run.result, 'detail',
        format('The run %s is %s. %s', r.id, replace(end_run.status, '_', ' '),
            coalesce(end_run.error ->> 'detail', '')))
    where s.run_id = r.parent_id and s.path = r.parent_path and s.child_id = r.id and s.status = 'waiting'
    and s.answer is null;
    if found then
        perform pipelines.wake(r.parent_id);
    end if;
    insert into pipelines.ended (what, status, count)
    select 'run', end_run.status, 1
    union all
    select 'step', s.status, count(*) from pipelines.step s where s.run_id = r.id group by s.status;
    perform pipelines.tell('run.' || end_run.status, r.pipeline_id, r.id,
        jsonb_build_object('run', r.id, 'status', end_run.status));
    if end_run.status in ('failed', 'timed_out') and r.parent_id is null then
        perform inbox.notify(array[r.account_id], 'run', 'A run has failed', coalesce(end_run.error ->> 'detail', ''),
            '/runs/' || r.id, null, 'run:' || r.id);
    end if;
    perform pipelines.end_firing(f.id, case end_run.status when 'timed_out' then 'failed' else end_run.status end,
        end_run.error ->> 'detail') from pipelines.firing f where f.run_id = r.id;
    perform pipelines.drop_job(job);
    if r.concurrency_key is not null then
        perform jobs.enqueue('pipeline-run', jsonb_build_object('admits',
            jsonb_build_object('pipeline', r.pipeline_id, 'key', r.concurrency_key)));
    end if;
    return true;
end
$$;
