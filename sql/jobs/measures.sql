-- The numbers about the platform's work that only the database has, one in each row, for the metrics of workers.
create or replace function jobs.measures() returns setof jobs.measure
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select 'gather_queue_oldest_seconds', 'Age of the oldest job that could run and waits.', false, null, null,
        coalesce((select greatest(0, extract(epoch from now() - run_at)) from jobs.job
            where status = 'queued' and run_at <= now() order by run_at limit 1), 0)::double precision
    union all
    select 'gather_jobs', 'Jobs by status.', false, 'status', c.status, sum(c.count)::double precision
    from (select status, count from jobs.count_total union all select status, change from jobs.count_change) c
    group by c.status
    union all select * from jobs.measures_of_parts()
    union all select * from webhooks.measures()
    union all select * from llm.measures()
    union all select * from memory.measures()
    union all select * from search.measures()
    union all select * from circles.measures()
    union all select * from claws.measures()
    union all select * from pipelines.measures()
$$;
grant execute on function jobs.measures to gather_worker;
