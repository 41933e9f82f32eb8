-- The numbers of the runs of a pipeline by status, for those that there are. Each is counted up to 1,000, so that a long
-- history costs no more than a short one.
create or replace function pipelines.run_counts(pipeline uuid) returns jsonb
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select coalesce(jsonb_object_agg(s.status, c.number) filter (where c.number > 0), '{}')
    from unnest(array['queued', 'running', 'waiting', 'paused', 'cancelling', 'succeeded', 'failed', 'cancelled',
        'timed_out']) s (status),
        lateral (select count(*) as number from (
            select from pipelines.run r
            where r.pipeline_id = run_counts.pipeline and r.status = s.status limit 1000) of_status) c
$$;
grant execute on function pipelines.run_counts to gather_pipelines;
