-- Ends a run, once and for ever. Steps that have not ended are cancelled, questions are withdrawn, and whoever still
-- drives it changes nothing any more. Answers whether it had not ended before.
create or replace function pipelines.end_run(run uuid, status text, result jsonb, error jsonb) returns boolean
language plpgsql
as $$
declare
    r pipelines.run;
    job uuid;
    question uuid;
begin
    select o.* into r from pipelines.run o where o.id = end_run.run and o.finished_at is null for update;
    if not found then
        return false;
    end if;
    job := r.job_id;
    update pipelines.run o
    set status = end_run.status, result = end_run.result, error = end_run.error, finished_at = clock_timestamp(),
        epoch = o.epoch + 1, job_id = null, wake_at = null
    where o.id = r.id;
    for question in
        with stopped as (
            update pipelines.step s
            set status = case when end_run.status = 'timed_out' then 'timed_out' else 'cancelled' end,
                finished_at = clock_timestamp(), wake_at = null
            where s.run_id = r.id and s.finished_at is null
            returning s.approval_id
        )
        select approval_id from stopped where approval_id is not null order by approval_id
    loop
        perform inbox.void(question);
    end loop;
    insert into pipelines.ended (what, status, count)
    select 'run', end_run.status, 1
    union all
    select 'step', s.status, count(*) from pipelines.step s where s.run_id = r.id group by s.status;
    perform pipelines.tell('run.' || end_run.status, r.pipeline_id, r.id,
        jsonb_build_object('run', r.id, 'status', end_run.status));
    if end_run.status in ('failed', 'timed_out') then
        perform inbox.notify(array[r.account_id], 'run', 'A run has failed', coalesce(end_run.error ->> 'detail', ''),
            '/runs/' || r.id, null, 'run:' || r.id);
    end if;
    perform pipelines.drop_job(job);
    return true;
end
$$;
