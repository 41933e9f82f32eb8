-- Renews a worker's lease. `running` has the queue's ids of its running jobs. Returns
-- those that it still holds, and whether they are to be cancelled: [{"queue_id", "cancel"}].
create or replace function jobs.heartbeat(worker text, about jsonb, running bigint[]) returns setof jsonb
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
    perform graphile_worker.worker_heartbeat(heartbeat.worker, about::json);
    -- A clock that was set back leaves heartbeats in the future, which would never grow old.
    update graphile_worker._private_workers set last_heartbeat_at = now() where last_heartbeat_at > now();
    return query
    select jsonb_build_object('queue_id', q.id, 'cancel', j.cancel_requested_at is not null)
    from graphile_worker._private_jobs q join jobs.job j on j.queue_id = q.id
    where q.id = any (running) and q.locked_by = heartbeat.worker;
end
$$;
grant execute on function jobs.heartbeat to gather_worker;
