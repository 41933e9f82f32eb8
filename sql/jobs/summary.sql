-- The state of the queue: counts by kind and status, the longest wait, and living workers.
create or replace function jobs.summary(lease interval) returns jsonb
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    with counted as (
        select kind, status, sum(n)::bigint as n from (
            select kind, status, count as n from jobs.count_total
            union all select kind, status, change from jobs.count_change
        ) c group by kind, status having sum(n) > 0
    )
    select jsonb_build_object(
        'by_status', coalesce((select jsonb_object_agg(status, n)
            from (select status, sum(n) as n from counted group by status) s), '{}'),
        'by_kind', coalesce((select jsonb_object_agg(kind, states)
            from (select kind, jsonb_object_agg(status, n) as states from counted group by kind) k), '{}'),
        'oldest_queued_ms', (select greatest(0, floor(extract(epoch from now() - run_at) * 1000))::bigint
            from jobs.job where status = 'queued' and run_at <= now() order by run_at limit 1),
        'workers', (select count(*) from graphile_worker._private_workers
            where last_heartbeat_at > now() - lease))
$$;
grant execute on function jobs.summary to gather_jobs;
