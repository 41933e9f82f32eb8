-- Pipelines: graphs of steps, kept as data in numbered versions, and their runs. What a run has done stands in its rows,
-- so it goes on after any crash; the work itself is done by the component `pipeline-run`.

create schema pipelines;

create table pipelines.pipeline (
    id uuid primary key default platform.uuid_v7(),
    owner_id uuid not null references identity.account (id) on delete cascade,
    name text collate "C" not null,
    active_version integer not null default 1,
    -- No run starts while it is paused; those that have started go on.
    paused boolean not null default false,
    archived_at timestamptz,
    created_at timestamptz not null default now(),
    constraint pipeline_name_form check (
        name ~ '^[a-z0-9][a-z0-9-]{0,59}$' and name !~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'),
    -- POST /api/pipelines/validate shares its path with names.
    constraint pipeline_name_free check (name <> 'validate')
);
create unique index pipeline_name_key on pipelines.pipeline (owner_id, name) where archived_at is null;
create index pipeline_owner on pipelines.pipeline (owner_id, id);
create index pipeline_present on pipelines.pipeline (owner_id, id) where archived_at is null;

-- A version never changes, and runs pin theirs.
create table pipelines.version (
    pipeline_id uuid not null references pipelines.pipeline (id) on delete cascade,
    number integer not null,
    -- The SHA-256 of the canonical definition (RFC 8785).
    digest text not null,
    definition jsonb not null,
    note text not null default '',
    created_at timestamptz not null default now(),
    constraint version_pkey primary key (pipeline_id, number),
    constraint version_digest_form check (digest ~ '^sha256:[0-9a-f]{64}$'),
    constraint version_note_size check (char_length(note) <= 1000)
);

create table pipelines.run (
    id uuid primary key default platform.uuid_v7(),
    pipeline_id uuid not null,
    version integer not null,
    -- The account that it acts for, and that sees it.
    account_id uuid not null references identity.account (id) on delete cascade,
    status text not null default 'queued',
    key text,
    priority integer not null default 0,
    input jsonb not null,
    result jsonb,
    error jsonb,
    cause text not null default 'call',
    restarted_from uuid,
    -- Who drives it: a driver of an earlier epoch changes nothing any more.
    epoch integer not null default 0,
    -- How often something happened that its driver has to look at before it may park.
    news bigint not null default 0,
    -- The job that drives it, or that will at `wake_at`; null: it is parked, and something has to wake it.
    job_id uuid,
    wake_at timestamptz,
    deadline_at timestamptz,
    created_at timestamptz not null default now(),
    started_at timestamptz,
    finished_at timestamptz,
    constraint run_version_known foreign key (pipeline_id, version)
        references pipelines.version (pipeline_id, number) on delete cascade,
    constraint run_status_known check (status in ('queued', 'running', 'waiting', 'succeeded', 'failed', 'cancelled',
        'timed_out')),
    constraint run_finished check (
        (finished_at is not null) = (status in ('succeeded', 'failed', 'cancelled', 'timed_out'))),
    constraint run_cause_known check (cause in ('call', 'restart')),
    constraint run_key_size check (char_length(key) between 1 and 200),
    constraint run_priority_range check (priority between -100 and 100)
) with (fillfactor = 85);
create unique index run_key on pipelines.run (pipeline_id, key) where key is not null and finished_at is null;
create index run_account on pipelines.run (account_id, id);
create index run_account_status on pipelines.run (account_id, status, id);
create index run_pipeline on pipelines.run (pipeline_id, id);
create index run_pipeline_status on pipelines.run (pipeline_id, status, id);
create index run_active on pipelines.run (account_id) where finished_at is null;
create index run_unfinished on pipelines.run (id) where finished_at is null;
create index run_job on pipelines.run (job_id) where job_id is not null;
create index run_finished_at on pipelines.run (finished_at) where finished_at is not null;

-- The execution of a node in a run.
create table pipelines.step (
    run_id uuid not null references pipelines.run (id) on delete cascade,
    path text collate "C" not null,
    type text not null,
    status text not null,
    -- `pure`, `inside` the database, or outgoing: `repeatable` or `once`.
    effect text not null,
    attempts integer not null default 0,
    input jsonb,
    output jsonb,
    error jsonb,
    -- The case that a condition chose.
    chosen text,
    approval_id uuid,
    -- The time at which it is to be looked at again.
    wake_at timestamptz,
    -- The time at which it is given up.
    deadline_at timestamptz,
    started_at timestamptz not null default clock_timestamp(),
    finished_at timestamptz,
    constraint step_pkey primary key (run_id, path),
    constraint step_status_known check (status in ('ready', 'running', 'retrying', 'waiting', 'uncertain', 'succeeded',
        'failed', 'skipped', 'cancelled', 'timed_out')),
    constraint step_finished check (
        (finished_at is not null) = (status in ('succeeded', 'failed', 'skipped', 'cancelled', 'timed_out'))),
    constraint step_effect_known check (effect in ('pure', 'inside', 'repeatable', 'once'))
);
create unique index step_approval on pipelines.step (approval_id) where approval_id is not null;
create index step_uncertain on pipelines.step (run_id) where status = 'uncertain';

-- Signals that were sent to a run, kept until a wait takes them.
create table pipelines.signal (
    run_id uuid not null references pipelines.run (id) on delete cascade,
    -- The sender's own id, so that a repetition counts once.
    id text not null,
    name text not null,
    data jsonb not null,
    created_at timestamptz not null default clock_timestamp(),
    taken_by text,
    constraint signal_pkey primary key (run_id, id),
    constraint signal_id_size check (char_length(id) between 1 and 200),
    constraint signal_name_size check (char_length(name) between 1 and 100)
);

-- How many runs and steps ended how. Rows are only ever inserted, and added up by the workers.
create table pipelines.ended (
    what text not null,
    status text not null,
    count bigint not null default 1,
    constraint ended_what_known check (what in ('run', 'step'))
);

select platform.leaver('pipelines');

select platform.function_role('pipelines');
grant select on pipelines.pipeline, pipelines.version to gather_pipelines;
-- The work: drives a run.
select platform.role('pipeline_run', 'pipelines');

insert into events.topic_kind (kind, reader) values
    ('pipeline', 'pipelines.may_read_pipeline'), ('run', 'pipelines.may_read_run');
insert into inbox.kind (name) values ('run');
insert into inbox.on_decided (kind, function) values ('run', 'pipelines.approval_decided');
-- A decision in the inbox and the end of a job put a run back to work, too.
insert into jobs.enqueuer (role, kind) values
    ('gather_pipelines', 'pipeline-run'), ('gather_pipeline_run', 'pipeline-run'), ('gather_inbox', 'pipeline-run'),
    ('gather_worker', 'pipeline-run'), ('gather_people', 'pipeline-run'), ('gather_accounts', 'pipeline-run');
insert into jobs.notified (function) values ('pipelines.job_ended');
