-- The queue counts claims, we count attempts: its own limit is out of reach.
create or replace function jobs.put(job uuid, kind text, run_at timestamptz, queue text, priority integer) returns bigint
language sql
as $$
    select id from graphile_worker.add_job(
        identifier => kind, payload => json_build_object('job', job), queue_name => queue,
        run_at => run_at, max_attempts => 32767, priority => priority)
$$;
