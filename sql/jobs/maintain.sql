-- Does the workers' maintenance, one of them at a time: adds up the counters,
-- forgets finished jobs (`keep`; dead ones longer: `keep_dead`) ten thousand at a time, drops
-- queues that nothing waits in, keeps the events' partitions, ends questions that nobody
-- answered in time, deletes old deliveries of webhooks, puts lost runs of pipelines back to work, and reports the state of
-- the queue and the size of the database.
create or replace function jobs.maintain(keep interval, keep_dead interval, lease interval) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    summary jsonb;
    tuples jsonb;
    asked timestamptz;
    latency jsonb;
begin
    if not pg_try_advisory_xact_lock(hashtext('jobs.maintain')) then
        return;
    end if;
    with taken as (
        delete from jobs.count_change returning kind, status, change
    )
    insert into jobs.count_total as t (kind, status, count)
    select kind, status, sum(change) from taken group by kind, status
    on conflict (kind, status) do update set count = t.count + excluded.count;

    delete from jobs.job j where j.id in (
        select f.id from jobs.job f
        where f.finished_at < now() - case f.status when 'dead' then keep_dead else keep end
        order by f.finished_at limit 10000);

    -- Workers that are gone need no wake-up.
    delete from jobs.sleeper s where not exists (
        select from graphile_worker._private_workers w where w.id = s.worker and w.last_heartbeat_at > now() - lease);
    perform jobs.drop_idle_queues();
    perform events.maintain('7 days');
    perform inbox.expire(1000);
    perform webhooks.sweep(1000);
    perform llm.sweep(1000);
    perform memory.sweep(1000);
    perform search.sweep();
    perform pipelines.sweep(1000);

    asked := clock_timestamp();
    summary := jobs.summary(lease);
    latency := jsonb_build_object('latency_ms', extract(epoch from clock_timestamp() - asked) * 1000);
    select jsonb_build_object('dead_tuples', sum(n_dead_tup), 'live_tuples', sum(n_live_tup)) into tuples
    from pg_stat_user_tables
    where relid in ('jobs.job'::regclass, 'graphile_worker._private_jobs'::regclass);
    -- Vacuum can't keep up where an old transaction keeps every row version alive.
    perform platform.report_health('queue',
        case when coalesce((summary ->> 'oldest_queued_ms')::bigint, 0) > 300000
            or coalesce((tuples ->> 'dead_tuples')::bigint, 0) > 100000
                + coalesce((tuples ->> 'live_tuples')::bigint, 0)
        then 'degraded' else 'healthy' end,
        tuples || latency || jsonb_build_object('oldest_queued_ms', summary -> 'oldest_queued_ms',
            'by_status', summary -> 'by_status'));
    -- To measure the database, each of its files is looked at.
    if not exists (select from platform.health h
        where h.component = 'database' and h.reported_at > now() - interval '1 minute') then
        perform platform.report_health('database', 'healthy',
            jsonb_build_object('size_bytes', pg_database_size(current_database())));
    end if;
    perform platform.report_health('workers', 'healthy', jsonb_build_object('alive', summary -> 'workers'));
end
$$;
grant execute on function jobs.maintain to gather_worker;
