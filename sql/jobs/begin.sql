-- Begins the jobs that a worker has claimed in the queue: `claimed` is [{"queue_id", "kind", "payload"}].
-- Returns those to run, one object each; the others had been cancelled, or had lost their last
-- worker once too often, and are ended here. A row that came into the queue by another way (a
-- recurring one) gets its job now.
create or replace function jobs.begin(worker text, claimed jsonb) returns setof jsonb
language plpgsql security definer set search_path = pg_catalog, pg_temp set enable_seqscan = off
as $$
declare
    ids bigint[] := array(select (c ->> 'queue_id')::bigint from jsonb_array_elements(claimed) c);
    number integer;
begin
    if exists (select from jsonb_array_elements(claimed) c where not coalesce(c -> 'payload' ? 'job', false)) then
        insert into jobs.job (kind, payload, max_attempts, queue_id)
        select c.kind, coalesce(c.payload, '{}'), jobs.max_attempts(c.kind), c.queue_id
        from jsonb_to_recordset(claimed) as c (queue_id bigint, kind text, payload jsonb)
        where not coalesce(c.payload ? 'job', false)
        on conflict (queue_id) where queue_id is not null do nothing;
    end if;

    return query
    with lost as (
        insert into jobs.attempt (job_id, number, worker, started_at, outcome, error)
        select j.id, j.attempts, j.worker, j.started_at, 'lost', 'The worker that ran it was lost.'
        from jobs.job j where j.queue_id = any (ids) and j.status = 'running'
        on conflict do nothing
    )
    update jobs.job j
    set status = 'running', attempts = j.attempts + 1, worker = begin.worker, percent = 0, note = '',
        started_at = clock_timestamp(),
        -- The job may have been enqueued before any worker registered the number of attempts.
        max_attempts = case j.attempts when 0 then jobs.max_attempts(j.kind) else j.max_attempts end
    where j.queue_id = any (ids) and j.cancel_requested_at is null
    and (j.status <> 'running' or j.attempts < j.max_attempts)
    returning jsonb_build_object('id', j.id, 'queue_id', j.queue_id, 'kind', j.kind, 'attempt', j.attempts,
        'max_attempts', j.max_attempts, 'owner', j.owner_id, 'traceparent', j.traceparent, 'payload', j.payload);
    get diagnostics number = row_count;
    if number < cardinality(ids) then
        perform jobs.end_unfit(worker, ids);
    end if;
end
$$;
grant execute on function jobs.begin to gather_worker;
