-- Queued work. The queue itself (order, locks, wake-ups) is Graphile Worker's schema, which is made
-- before this file runs; here stands what its rows are about, and outlives them: one row a job.
--
-- A job's life:  queued -> running -> succeeded
--                             |-> failed (waits, then runs again) -> ... -> dead -> queued (retry)
--                any unfinished one -> cancelled

create schema jobs;

-- The kinds of work that some worker has offered to do; `gather migrate` and each worker write it.
create table jobs.kind (
    name text primary key,
    max_attempts integer not null,
    constraint kind_name_form check (name ~ '^[a-z0-9-]{1,60}$'),
    constraint kind_max_attempts check (max_attempts between 1 and 100)
);

-- Which function may ask for which work. Nobody may by default: the migration that adds a caller
-- adds its row.
create table jobs.enqueuer (
    role text not null,
    kind text not null,
    primary key (role, kind)
);

create table jobs.job (
    id uuid primary key default platform.uuid_v7(),
    kind text not null,
    -- The account it is done for; null: the platform's own.
    owner_id uuid,
    key text,
    -- May hold secrets: only workers read it.
    payload jsonb not null default '{}',
    status text not null default 'queued',
    percent smallint not null default 0,
    note text not null default '',
    attempts integer not null default 0,
    max_attempts integer not null,
    result jsonb,
    error text,
    -- Its row in the queue, while it is unfinished.
    queue_id bigint,
    -- Who runs it, or ran it last.
    worker text,
    cancel_requested_at timestamptz,
    created_at timestamptz not null default now(),
    run_at timestamptz not null default now(),
    started_at timestamptz,
    finished_at timestamptz,
    constraint job_kind_form check (kind ~ '^[a-z0-9-]{1,60}$'),
    constraint job_key_size check (char_length(key) between 1 and 512),
    constraint job_payload_size check (pg_column_size(payload) <= 1048576),
    constraint job_status_known
        check (status in ('queued', 'running', 'failed', 'succeeded', 'dead', 'cancelled')),
    constraint job_finished
        check ((finished_at is not null) = (status in ('succeeded', 'dead', 'cancelled'))),
    constraint job_in_queue check ((queue_id is null) = (finished_at is not null)),
    constraint job_percent check (percent between 0 and 100)
) with (fillfactor = 85, autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.05);
create unique index job_queue_id on jobs.job (queue_id) where queue_id is not null;
-- Asking again for unfinished work is no second job.
create unique index job_key on jobs.job (kind, owner_id, key) nulls not distinct
    where key is not null and finished_at is null;
create index job_owner on jobs.job (owner_id, id);
create index job_status on jobs.job (status, id);
create index job_kind on jobs.job (kind, id);
create index job_waiting on jobs.job (run_at) where status = 'queued';
create index job_finished_at on jobs.job (finished_at) where finished_at is not null;

-- The attempts that did not succeed; a dead job keeps all of them.
create table jobs.attempt (
    job_id uuid not null references jobs.job (id) on delete cascade,
    number integer not null,
    worker text,
    started_at timestamptz,
    ended_at timestamptz not null default now(),
    outcome text not null,
    error text not null,
    primary key (job_id, number),
    constraint attempt_outcome_known check (outcome in ('failed', 'lost'))
);

-- How many jobs there are of each kind and status: totals, and changes since. Changes are only ever
-- inserted, so that nobody waits for a counter's row, and added up by the workers.
create table jobs.count_total (
    kind text not null,
    status text not null,
    count bigint not null,
    primary key (kind, status)
);
create table jobs.count_change (
    kind text not null,
    status text not null,
    change bigint not null
);

-- States change along the picture above, whoever changes them.
create function jobs.check_transition() returns trigger
language plpgsql
as $$
begin
    if not (case old.status
        when 'queued' then new.status in ('running', 'cancelled', 'dead')
        when 'failed' then new.status in ('running', 'cancelled', 'dead')
        when 'running' then new.status in ('succeeded', 'failed', 'dead', 'cancelled', 'queued')
        when 'dead' then new.status = 'queued'
        else false
    end) then
        raise exception 'a job that is % cannot become %', old.status, new.status
            using errcode = 'check_violation', constraint = 'job_transition';
    end if;
    return new;
end
$$;
create trigger job_transition before update of status on jobs.job
for each row when (old.status is distinct from new.status)
execute function jobs.check_transition();

create function jobs.count_inserted() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
    insert into jobs.count_change
    select kind, status, count(*) from changed group by kind, status;
    return null;
end
$$;
create function jobs.count_deleted() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
    insert into jobs.count_change
    select kind, status, -count(*) from changed group by kind, status;
    return null;
end
$$;
create function jobs.count_updated() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
    insert into jobs.count_change
    select kind, status, sum(change) from (
        select kind, status, 1 as change from changed
        union all select kind, status, -1 from before
    ) c group by kind, status having sum(change) <> 0;
    return null;
end
$$;
create trigger job_inserted after insert on jobs.job
referencing new table as changed for each statement execute function jobs.count_inserted();
create trigger job_deleted after delete on jobs.job
referencing old table as changed for each statement execute function jobs.count_deleted();
create trigger job_updated after update on jobs.job
referencing old table as before new table as changed
for each statement execute function jobs.count_updated();

-- Puts work into the queue, in the statement of the caller: both are done or neither is.
--   kind      the component that does it
--   payload   what that needs, 1 MiB at most; its secrets are shown to nobody
--   owner     the account it is done for, which may see and cancel it; null: the platform's own
--   key       while a job of this kind, owner and key is unfinished, asking again answers that one
--   run_at    not before
--   queue     jobs of one queue run one after another, whoever runs them
--   priority  smaller is sooner
-- Answers the job's id.
create function jobs.enqueue(
    kind text,
    payload jsonb default '{}',
    owner uuid default null,
    key text default null,
    run_at timestamptz default null,
    queue text default null,
    priority integer default 0
) returns uuid
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    job uuid;
    queued bigint;
begin
    -- The caller's own role, not the one that this function runs as. Its owner may do all.
    if session_user <> current_user and not exists (
        select from jobs.enqueuer e where e.role = session_user and e.kind = enqueue.kind
    ) then
        raise exception 'the role % may not enqueue jobs of the kind %', session_user, enqueue.kind
            using errcode = 'insufficient_privilege',
                hint = 'add a row to jobs.enqueuer in a migration';
    end if;
    if char_length(enqueue.queue) not between 1 and 128 then
        raise exception 'a queue''s name has 1 to 128 characters' using errcode = 'check_violation';
    end if;
    if enqueue.key is not null then
        perform pg_advisory_xact_lock(
            hashtextextended(concat_ws('/', enqueue.kind, enqueue.owner::text, enqueue.key), 1));
        select j.id into job from jobs.job j
        where j.kind = enqueue.kind and j.owner_id is not distinct from enqueue.owner
        and j.key = enqueue.key and j.finished_at is null;
        if found then
            return job;
        end if;
    end if;
    job := platform.uuid_v7();
    queued := jobs.put(job, enqueue.kind, enqueue.run_at, enqueue.queue, enqueue.priority);
    insert into jobs.job (id, kind, owner_id, key, payload, max_attempts, run_at, queue_id)
    values (job, enqueue.kind, enqueue.owner, enqueue.key, coalesce(enqueue.payload, '{}'),
        jobs.max_attempts(enqueue.kind), coalesce(enqueue.run_at, now()), queued);
    return job;
end
$$;

-- The queue counts claims, we count attempts: its own limit is out of reach.
create function jobs.put(job uuid, kind text, run_at timestamptz, queue text, priority integer) returns bigint
language sql
as $$
    select id from graphile_worker.add_job(
        identifier => kind, payload => json_build_object('job', job), queue_name => queue,
        run_at => run_at, max_attempts => 32767, priority => priority)
$$;

create function jobs.max_attempts(kind text) returns integer
language sql stable
as $$
    select coalesce((select k.max_attempts from jobs.kind k where k.name = kind), 5)
$$;

create function jobs.register_kind(name text, max_attempts integer) returns void
language sql security definer set search_path = pg_catalog, pg_temp
as $$
    insert into jobs.kind as k (name, max_attempts) values ($1, $2)
    on conflict (name) do update set max_attempts = excluded.max_attempts
    where k.max_attempts <> excluded.max_attempts
$$;

-- What events say of a job.
create function jobs.event_data(id uuid, kind text, status text, percent smallint, note text) returns jsonb
language sql immutable
as $$
    select jsonb_build_object('id', id, 'kind', kind, 'status', status,
        'progress', jsonb_build_object('percent', percent, 'note', note))
$$;

-- What a worker has claimed in the queue begins: `claimed` is [{"queue_id", "kind", "payload"}].
-- Answers those to run, one object each; the others had been cancelled, or had lost their last
-- worker once too often, and are ended here. A row that came into the queue by another way (a
-- recurring one) gets its job now.
create function jobs.begin(worker text, claimed jsonb) returns setof jsonb
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
        -- It may have been asked for before any worker told how often to try.
        max_attempts = case j.attempts when 0 then jobs.max_attempts(j.kind) else j.max_attempts end
    where j.queue_id = any (ids) and j.cancel_requested_at is null
    and (j.status <> 'running' or j.attempts < j.max_attempts)
    returning jsonb_build_object('id', j.id, 'queue_id', j.queue_id, 'kind', j.kind, 'attempt', j.attempts,
        'max_attempts', j.max_attempts, 'owner', j.owner_id, 'payload', j.payload);
    get diagnostics number = row_count;
    if number < cardinality(ids) then
        perform jobs.end_unfit(worker, ids);
    end if;
end
$$;

-- Of what a worker has claimed, ends what is not to run: jobs that were cancelled or have lost their
-- last worker once too often, and the queue's rows of jobs that have ended already.
create function jobs.end_unfit(worker text, ids bigint[]) returns void
language sql
as $$
    with unfit as (
        select q.id, q.job_queue_id from graphile_worker._private_jobs q
        where q.id = any (ids) and q.locked_by = $1
        and not exists (select from jobs.job j
            -- Begun in this transaction, that is.
            where j.queue_id = q.id and j.status = 'running' and j.xmin = pg_current_xact_id()::xid)
    ), ended as (
        update jobs.job j
        set status = case when j.cancel_requested_at is null then 'dead' else 'cancelled' end,
            error = case when j.cancel_requested_at is null then 'The worker that ran it was lost.' end,
            finished_at = now(), queue_id = null
        from unfit u where j.queue_id = u.id
        returning j.*
    ), told as (
        insert into events.event (topic, type, data)
        select 'job:' || e.id, 'job.' || e.status, jobs.event_data(e.id, e.kind, e.status, e.percent, e.note)
        from ended e where e.owner_id is not null
    ), dropped as (
        delete from graphile_worker._private_jobs q using unfit u where q.id = u.id
    )
    update graphile_worker._private_job_queues q set locked_by = null, locked_at = null
    from unfit u where q.id = u.job_queue_id and q.locked_by = $1
$$;

-- What an attempt's outcome makes of its job.
create function jobs.next_status(outcome text, job jobs.job) returns text
language sql immutable
as $$
    select case
        when outcome in ('failed', 'returned') and job.cancel_requested_at is not null then 'cancelled'
        when outcome = 'failed' and job.attempts >= job.max_attempts then 'dead'
        when outcome = 'returned' then 'queued'
        else outcome
    end
$$;

-- Ends attempts: `outcomes` is [{"id", "queue_id", "attempt", "outcome", "result", "error",
-- "delay_ms"}], with the outcomes succeeded, failed (again after the delay, while attempts are left),
-- dead, cancelled, and returned (it never happened: run it again at once).
--
-- Only the attempt that runs can be ended, by its number: a worker that was taken for dead finds that
-- its jobs are at another one, or over. For those nothing happens, and they are not in the answer.
create function jobs.finish(worker text, outcomes jsonb) returns setof uuid
language plpgsql security definer set search_path = pg_catalog, pg_temp set enable_seqscan = off
as $$
declare
    done uuid[];
begin
    -- Unlike all else that a worker writes, see its role.
    perform set_config('synchronous_commit', 'on', true);
    with given as (
        select o.*, coalesce(o.delay_ms, 0) * interval '1 millisecond' as delay
        from jsonb_to_recordset(outcomes) as o (id uuid, queue_id bigint, attempt integer,
            outcome text, result jsonb, error text, delay_ms bigint)
    ), ended as (
        update jobs.job j
        set status = jobs.next_status(o.outcome, j),
            attempts = j.attempts - (o.outcome = 'returned')::integer,
            percent = case o.outcome when 'succeeded' then 100 when 'returned' then 0 else j.percent end,
            result = o.result,
            error = o.error,
            run_at = case o.outcome when 'failed' then now() + o.delay else j.run_at end,
            queue_id = case when jobs.next_status(o.outcome, j) in ('failed', 'queued') then j.queue_id end,
            finished_at = case when jobs.next_status(o.outcome, j) not in ('failed', 'queued')
                then clock_timestamp() end
        from given o
        where j.id = o.id and j.queue_id = o.queue_id and j.status = 'running' and j.attempts = o.attempt
        and j.worker = finish.worker
        returning j.id, j.status, j.started_at, o.queue_id, o.attempt, o.error, o.delay
    ), noted as (
        insert into jobs.attempt (job_id, number, worker, started_at, outcome, error)
        select e.id, e.attempt, finish.worker, e.started_at, 'failed', coalesce(e.error, '')
        from ended e where e.status in ('failed', 'dead')
        on conflict do nothing
    ), dropped as (
        delete from graphile_worker._private_jobs q using ended e
        where q.id = e.queue_id and e.status not in ('failed', 'queued')
        returning q.job_queue_id
    ), again as (
        update graphile_worker._private_jobs q
        set locked_by = null, locked_at = null, updated_at = now(), last_error = e.error,
            run_at = case e.status when 'failed' then now() + e.delay else q.run_at end
        from ended e where q.id = e.queue_id and e.status in ('failed', 'queued')
        returning q.job_queue_id
    ), freed as (
        update graphile_worker._private_job_queues q set locked_by = null, locked_at = null
        from (select job_queue_id from dropped union all select job_queue_id from again) e
        where q.id = e.job_queue_id and q.locked_by = finish.worker
    )
    select array_agg(e.id) into done from ended e;

    insert into events.event (topic, type, data)
    select 'job:' || j.id, 'job.' || j.status, jobs.event_data(j.id, j.kind, j.status, j.percent, j.note)
    from jobs.job j where j.id = any (done) and j.owner_id is not null;
    return query select unnest(done);
end
$$;

-- Writes down how far running jobs are: `reports` is [{"id", "attempt", "percent", "note"}].
create function jobs.report_progress(worker text, reports jsonb) returns void
language sql security definer set search_path = pg_catalog, pg_temp
as $$
    with moved as (
        update jobs.job j set percent = r.percent, note = r.note
        from jsonb_to_recordset(reports) as r (id uuid, attempt integer, percent smallint, note text)
        where j.id = r.id and j.status = 'running' and j.attempts = r.attempt
        and j.worker = report_progress.worker
        returning j.*
    )
    insert into events.event (topic, type, data)
    select 'job:' || m.id, 'job.progress', jobs.event_data(m.id, m.kind, m.status, m.percent, m.note)
    from moved m where m.owner_id is not null
$$;

-- The worker lives: its lease is renewed. `running` are the queue's ids of what it works on. Answers
-- those that it still holds, and whether they shall be cancelled: [{"queue_id", "cancel"}].
create function jobs.heartbeat(worker text, about jsonb, running bigint[]) returns setof jsonb
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

-- After an answer of the database was lost: whatever the worker holds and does not know of goes back
-- into the queue.
create function jobs.give_back_unknown(worker text, known bigint[]) returns void
language sql security definer set search_path = pg_catalog, pg_temp
as $$
    select graphile_worker._private_return_jobs(give_back_unknown.worker, array_agg(q.id))
    from graphile_worker._private_jobs q
    where q.locked_by = give_back_unknown.worker and q.id <> all (known)
    having count(*) > 0
$$;

-- Cancels a job. One that runs is asked to stop, and stopped if it doesn't. A null `owner` may
-- cancel anybody's. Answers the job's status; null where there is no such job.
create function jobs.cancel(job uuid, owner uuid) returns text
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    target jobs.job;
begin
    select j.* into target from jobs.job j
    where j.id = cancel.job and (cancel.owner is null or j.owner_id = cancel.owner) for update;
    if target.status in ('queued', 'failed') then
        -- If a worker has just claimed it, the queue's row stays until that finds out.
        delete from graphile_worker._private_jobs q where q.id = target.queue_id and q.locked_at is null;
        update jobs.job j
        set status = 'cancelled', cancel_requested_at = now(), finished_at = now(), queue_id = null
        where j.id = target.id;
        if target.owner_id is not null then
            insert into events.event (topic, type, data)
            values ('job:' || target.id, 'job.cancelled',
                jobs.event_data(target.id, target.kind, 'cancelled', target.percent, target.note));
        end if;
        return 'cancelled';
    elsif target.status = 'running' then
        update jobs.job j set cancel_requested_at = coalesce(j.cancel_requested_at, now()) where j.id = target.id;
        perform pg_notify('jobs:cancel', target.id::text);
    end if;
    return target.status;
end
$$;

-- Puts a dead job into the queue again, with as many attempts as a new one. A null `owner` may retry
-- anybody's. Answers the status that it had; null where there is no such job.
create function jobs.retry(job uuid, owner uuid) returns text
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    target jobs.job;
begin
    select j.* into target from jobs.job j
    where j.id = retry.job and (retry.owner is null or j.owner_id = retry.owner) for update;
    if target.status = 'dead' then
        update jobs.job j
        set status = 'queued', finished_at = null, percent = 0, note = '', run_at = now(),
            cancel_requested_at = null,
            max_attempts = j.attempts + jobs.max_attempts(j.kind),
            queue_id = jobs.put(j.id, j.kind, null, null, 0)
        where j.id = target.id;
    end if;
    return target.status;
end
$$;

-- A job as its owner sees it: without what it was given.
create view jobs.job_view as
select j.id, j.owner_id, j.kind, j.status, jsonb_build_object('percent', j.percent, 'note', j.note) as progress,
    j.attempts, j.max_attempts, j.result, j.error, j.created_at, j.started_at, j.finished_at, j.run_at,
    j.cancel_requested_at is not null and j.finished_at is null as cancelling
from jobs.job j;

create view jobs.attempt_view as
select a.job_id, a.number as attempt, a.outcome, a.error, a.started_at, a.ended_at
from jobs.attempt a;

-- How the queue does: counts by kind and status, the age of what waits longest, workers alive.
create function jobs.summary(lease interval) returns jsonb
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

-- What the workers do beside the jobs, now and then, one of them at a time: adds up the counters,
-- forgets finished jobs (`keep`; dead ones longer: `keep_dead`) ten thousand at a time, drops
-- queues that nothing waits in, keeps the events' partitions, and reports how the queue does.
create function jobs.maintain(keep interval, keep_dead interval, lease interval) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    summary jsonb;
    tuples jsonb;
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

    perform jobs.drop_idle_queues();
    perform events.maintain('7 days');

    summary := jobs.summary(lease);
    select jsonb_build_object('dead_tuples', sum(n_dead_tup), 'live_tuples', sum(n_live_tup)) into tuples
    from pg_stat_user_tables
    where relid in ('jobs.job'::regclass, 'graphile_worker._private_jobs'::regclass);
    -- Vacuum can't keep up where an old transaction keeps every row version alive.
    perform platform.report_health('queue',
        case when coalesce((summary ->> 'oldest_queued_ms')::bigint, 0) > 300000
            or coalesce((tuples ->> 'dead_tuples')::bigint, 0) > 100000
                + coalesce((tuples ->> 'live_tuples')::bigint, 0)
        then 'degraded' else 'healthy' end,
        tuples || jsonb_build_object('oldest_queued_ms', summary -> 'oldest_queued_ms'));
    perform platform.report_health('workers', 'healthy', jsonb_build_object('alive', summary -> 'workers'));
end
$$;

-- The claim looks at every idle queue, so those that nothing waits in must go. The lock keeps
-- out a job that is just about to name one; where it is not to be had at once, the next time will do.
create function jobs.drop_idle_queues() returns void
language plpgsql
as $$
begin
    if not exists (
        select from graphile_worker._private_job_queues q
        where q.locked_at is null
        and not exists (select from graphile_worker._private_jobs j where j.job_queue_id = q.id)
    ) then
        return;
    end if;
    set local lock_timeout = '50ms';
    begin
        lock table graphile_worker._private_jobs in share row exclusive mode;
        delete from graphile_worker._private_job_queues q
        where q.locked_at is null
        and not exists (select from graphile_worker._private_jobs j where j.job_queue_id = q.id);
    exception when lock_not_available then null;
    end;
    set local lock_timeout = 0;
end
$$;
create index private_jobs_queue on graphile_worker._private_jobs (job_queue_id) where job_queue_id is not null;
create index private_jobs_locked on graphile_worker._private_jobs (locked_by) where locked_by is not null;

-- See 0001_platform.sql on why like this.
do $$
begin
    create role gather_worker login nosuperuser nocreatedb nocreaterole noinherit;
    alter role gather_worker set search_path = jobs;
    alter role gather_worker set timezone = 'UTC';
    -- A claim or a heartbeat that a crash of the server forgets did not happen: the job is queued still.
    alter role gather_worker set synchronous_commit = off;
exception when duplicate_object or unique_violation then null;
end
$$;
do $$
begin
    create role gather_jobs login nosuperuser nocreatedb nocreaterole noinherit;
    alter role gather_jobs set search_path = jobs;
    alter role gather_jobs set timezone = 'UTC';
exception when duplicate_object or unique_violation then null;
end
$$;

-- The worker claims with the queue library's own statements.
revoke execute on all functions in schema graphile_worker from public;
grant usage on schema platform, jobs, graphile_worker to gather_worker;
grant select, insert, update on graphile_worker._private_jobs, graphile_worker._private_job_queues,
    graphile_worker._private_known_crontabs to gather_worker;
grant select, insert on graphile_worker._private_tasks, graphile_worker._private_job_retirements
    to gather_worker;
grant select, update, delete on graphile_worker._private_workers to gather_worker;
grant usage on all sequences in schema graphile_worker to gather_worker;
grant execute on function graphile_worker.add_job, graphile_worker.add_jobs,
    graphile_worker._private_return_jobs, graphile_worker.worker_deregister,
    graphile_worker.list_stale_workers, graphile_worker.list_orphan_locked_workers,
    graphile_worker.recover_dead_worker_jobs, graphile_worker.delete_stale_workers to gather_worker;
create policy worker on graphile_worker._private_jobs to gather_worker using (true) with check (true);
create policy worker on graphile_worker._private_job_queues to gather_worker using (true) with check (true);
create policy worker on graphile_worker._private_tasks to gather_worker using (true) with check (true);
create policy worker on graphile_worker._private_known_crontabs to gather_worker using (true) with check (true);
grant execute on function
    jobs.register_kind(text, integer), jobs.begin(text, jsonb), jobs.finish(text, jsonb),
    jobs.report_progress(text, jsonb), jobs.heartbeat(text, jsonb, bigint[]), jobs.give_back_unknown(text, bigint[]),
    jobs.maintain(interval, interval, interval)
    to gather_worker;

grant usage on schema platform, jobs to gather_jobs;
grant select on jobs.job_view, jobs.attempt_view to gather_jobs;
grant execute on function jobs.cancel(uuid, uuid), jobs.retry(uuid, uuid), jobs.summary(interval)
    to gather_jobs;
-- Whoever verifies callers reads these.
grant usage on schema identity to gather_jobs;
grant select on identity.verification_key, identity.revocation to gather_jobs;
