-- Queued work. The queue itself (order, locks, wake-ups) is Graphile Worker's schema, which is made
-- before this file runs; here stands what its rows are about, and outlives them: one row a job.

create schema jobs;

-- The kinds of work that some worker has offered to do; `gather migrate` and each worker write it.
create table jobs.kind (
    name text primary key,
    max_attempts integer not null,
    constraint kind_name_form check (name ~ '^[a-z0-9-]{1,60}$'),
    constraint kind_max_attempts check (max_attempts between 1 and 100)
);

-- The SQL functions that jobs may have called when they end. The migration that adds one adds its row.
create table jobs.notified (
    function text primary key,
    constraint notified_function_form check (function ~ '^[a-z_]+\.[a-z_]+$')
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
    -- The event that led to it, and how many starts of work by events lie behind it.
    cause uuid,
    depth smallint not null default 0,
    -- The span that enqueued it (W3C Trace Context), which the host names in the session while traces are exported.
    traceparent text default nullif(current_setting('gather.traceparent', true), ''),
    -- The SQL function that is called with its id in the statement that ends it.
    notify text,
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
    constraint job_depth check (depth >= 0),
    constraint job_traceparent_size check (char_length(traceparent) <= 55),
    constraint job_notify_known foreign key (notify) references jobs.notified (function),
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
create index job_owner_finished on jobs.job (owner_id, finished_at) where finished_at is not null;

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

-- A number for the metrics of workers: its name, its help, whether it only grows, its label with that label's value if it
-- has one.
create type jobs.measure as (
    name text,
    help text,
    counts boolean,
    label text,
    value text,
    number double precision
);

-- Notifications take turns at commit, so those who ask for work give them to sleeping workers only: a row for each.
create unlogged table jobs.sleeper (
    worker text primary key
);

-- The queue's own tables lack these: its claim and its recovery look for them.
create index private_jobs_queue on graphile_worker._private_jobs (job_queue_id) where job_queue_id is not null;
create index private_jobs_locked on graphile_worker._private_jobs (locked_by) where locked_by is not null;

select platform.leaver('jobs');

-- The worker claims with the queue library's own statements.
do $$
begin
    create role gather_worker login nosuperuser nocreatedb nocreaterole noinherit;
    alter role gather_worker set search_path = jobs;
    alter role gather_worker set timezone = 'UTC';
    alter role gather_worker set jit = off;
    -- A claim or a heartbeat that a crash of the server forgets did not happen: the job is queued still.
    alter role gather_worker set synchronous_commit = off;
exception when duplicate_object or unique_violation then null;
end
$$;
revoke execute on all functions in schema graphile_worker from public;
grant usage on schema platform, jobs, graphile_worker to gather_worker;
grant select, insert, update on graphile_worker._private_jobs, graphile_worker._private_job_queues,
    graphile_worker._private_known_crontabs to gather_worker;
grant select, insert on graphile_worker._private_tasks, graphile_worker._private_job_retirements
    to gather_worker;
grant select, update, delete on graphile_worker._private_workers to gather_worker;
grant usage on all sequences in schema graphile_worker to gather_worker;
grant select, insert, delete on jobs.sleeper to gather_worker;
-- One of the workers follows the events.
grant usage on schema events to gather_worker;
grant select, insert, update, delete on events.sleeper to gather_worker;
grant execute on function graphile_worker.add_job, graphile_worker.add_jobs,
    graphile_worker._private_return_jobs, graphile_worker.worker_deregister,
    graphile_worker.list_stale_workers, graphile_worker.list_orphan_locked_workers,
    graphile_worker.recover_dead_worker_jobs, graphile_worker.delete_stale_workers to gather_worker;
create policy worker on graphile_worker._private_jobs to gather_worker using (true) with check (true);
create policy worker on graphile_worker._private_job_queues to gather_worker using (true) with check (true);
create policy worker on graphile_worker._private_tasks to gather_worker using (true) with check (true);
create policy worker on graphile_worker._private_known_crontabs to gather_worker using (true) with check (true);

select platform.function_role('jobs', writes => false);

-- These, whose file stands before this one, have mail sent: accounts when a key was made.
insert into jobs.enqueuer (role, kind) values
    ('gather_people', 'mail-delivery'), ('gather_accounts', 'mail-delivery');
