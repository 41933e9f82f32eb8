-- Writes the progress of running jobs: `reports` is [{"id", "attempt", "percent", "note"}].
create or replace function jobs.report_progress(worker text, reports jsonb) returns void
language sql security definer set search_path = pg_catalog, pg_temp
as $$
    with moved as (
        update jobs.job j set percent = r.percent, note = r.note
        from jsonb_to_recordset(reports) as r (id uuid, attempt integer, percent smallint, note text)
        where j.id = r.id and j.status = 'running' and j.attempts = r.attempt
        and j.worker = report_progress.worker
        returning j.*
    )
    insert into events.event (topic, type, data, cause, depth)
    select 'job:' || m.id, 'job.progress', jobs.event_data(m.id, m.kind, m.status, m.percent, m.note), m.cause, m.depth
    from moved m where m.owner_id is not null
$$;
grant execute on function jobs.report_progress to gather_worker;
