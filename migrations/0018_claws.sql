-- Claws: agents that are made for an owner in one request, and their lives. What thinks is the engine of `circles`, whose
-- seat a claw is; this schema has what an owner wants of it and what has become of that.

create schema claws;

-- What containers of claws are made of: administrators say it.
create table claws.template (
    name text collate "C" primary key,
    backend text not null,
    image text not null,
    command jsonb not null default '[]',
    cpu_millis integer not null,
    memory_bytes bigint not null,
    disk_bytes bigint not null,
    egress jsonb not null default '[]',
    volume boolean not null default false,
    created_at timestamptz not null default now(),
    constraint template_name_form check (name ~ '^[a-z0-9][a-z0-9-]{0,39}$'),
    -- It is always there.
    constraint template_name_free check (name <> 'wasm'),
    constraint template_backend_known check (backend = 'docker'),
    constraint template_image_pinned check (image ~ '^([^[:space:]@]+@)?sha256:[0-9a-f]{64}$')
);

-- Where containers can be made: when it last answered; null: it never has.
create table claws.backend (
    name text collate "C" primary key,
    heard_at timestamptz,
    asked_at timestamptz not null,
    constraint backend_name_known check (name = 'docker')
);

create table claws.claw (
    -- The account that it is.
    id uuid primary key references identity.account (id) on delete cascade,
    owner_id uuid not null references identity.account (id) on delete cascade,
    -- What its key follows from, besides the platform's secret.
    key_id uuid not null,
    template text collate "C" not null default 'wasm',
    backend text not null default 'wasm',
    -- What its owner wants, and what is so.
    desired text not null default 'running',
    status text not null default 'requested',
    -- Why it failed, or was paused or stopped by nobody's request.
    reason text,
    -- Grows with all that its owner wants: work for an older one does nothing any more.
    generation integer not null default 1,
    -- What survived when it last began to run: `kept`, `disk` or `fresh`.
    resumed text,
    -- By name: `vault:<name>`, and plain text.
    secrets jsonb not null default '{}',
    env jsonb not null default '{}',
    triggers jsonb not null default '[]',
    -- The schedules of its owner that wake it.
    schedules uuid[] not null default '{}',
    expires_at timestamptz,
    on_expiry text not null default 'stop',
    idle_ms bigint,
    -- The generation of its container, how often that was begun anew since it last was well, and since when it is not.
    instance integer,
    restarts smallint not null default 0,
    unwell_since timestamptz,
    look_at timestamptz,
    -- The job that works on what its owner wants.
    job_id uuid,
    last_seen_at timestamptz,
    created_at timestamptz not null default clock_timestamp(),
    constraint claw_backend_known check (backend in ('wasm', 'docker')),
    constraint claw_desired_known check (desired in ('running', 'paused', 'stopped', 'deleted')),
    constraint claw_status_known check (status in ('requested', 'provisioning', 'running', 'paused', 'unhealthy', 'stopped',
        'failed', 'deleting')),
    constraint claw_deleting check ((status = 'deleting') = (desired = 'deleted')),
    constraint claw_resumed_known check (resumed in ('kept', 'disk', 'fresh')),
    constraint claw_on_expiry_known check (on_expiry in ('pause', 'stop', 'delete')),
    constraint claw_idle_range check (idle_ms between 1000 and 31536000000),
    constraint claw_generation_positive check (generation > 0),
    constraint claw_reason_size check (char_length(reason) <= 1000),
    constraint claw_settings_size check (pg_column_size(secrets) + pg_column_size(env) + pg_column_size(triggers) <= 131072)
);
create index claw_owner on claws.claw (owner_id, id);
create index claw_owner_status on claws.claw (owner_id, status, id);
create index claw_status on claws.claw (status, id);
create index claw_job on claws.claw (job_id) where job_id is not null;
create index claw_expires on claws.claw (expires_at) where expires_at is not null;
create index claw_idle on claws.claw (id) where idle_ms is not null and status = 'running';

-- Every change of the status of a claw.
create table claws.change (
    id uuid primary key default platform.uuid_v7(),
    claw_id uuid not null references claws.claw (id) on delete cascade,
    at timestamptz not null default clock_timestamp(),
    -- Null: it was made.
    from_status text,
    to_status text not null,
    cause text not null,
    constraint change_cause_size check (char_length(cause) between 1 and 1000)
);
create index change_claw on claws.change (claw_id, id);
create index change_at on claws.change (at);

-- The token by which the container of a claw gives the claw its key, once.
create table claws.enrolment (
    claw_id uuid primary key references claws.claw (id) on delete cascade,
    generation integer not null,
    hash bytea not null,
    expires_at timestamptz not null,
    used_at timestamptz,
    -- The key that the container gave.
    public_key bytea,
    constraint enrolment_used check ((used_at is null) = (public_key is null)),
    constraint enrolment_hash_key unique (hash),
    constraint enrolment_hash_size check (octet_length(hash) = 32)
);

-- The latest lines of the output of containers.
create table claws.line (
    claw_id uuid not null references claws.claw (id) on delete cascade,
    at timestamptz not null,
    number integer not null,
    stream text not null,
    text text not null,
    constraint line_pkey primary key (claw_id, at, number),
    constraint line_stream_known check (stream in ('stdout', 'stderr'))
);

select platform.leaver('claws');
select platform.function_role('claws');
-- Changes go through the schema's functions only.
grant select on claws.claw, claws.change, claws.line to gather_claws;
grant select, insert, update, delete on claws.template to gather_claws;

-- The work: makes of a claw what its owner wants.
select platform.role('claw_provision', 'claws');

insert into events.topic_kind (kind, reader, administered) values ('claw', 'claws.may_read_topic', true);
-- Whoever suspends or deletes an account ends its claws, and whoever wakes an agent wakes a claw that rests.
insert into events.emitter (role, prefix)
select r, 'claw.' from unnest(array['gather_claws', 'gather_claw_provision', 'gather_circles', 'gather_agent_turn',
    'gather_channels', 'gather_inbox', 'gather_worker', 'gather_people', 'gather_accounts', 'gather_jobs']) r;
-- Claws come into channels, and leave with all that they have.
insert into events.emitter (role, prefix)
select distinct r, e.prefix from events.emitter e, unnest(array['gather_claws', 'gather_claw_provision']) r
where e.role in ('gather_people', 'gather_channels', 'gather_circles')
on conflict do nothing;
insert into jobs.enqueuer (role, kind)
select r, 'claw-provision' from unnest(array['gather_claws', 'gather_claw_provision', 'gather_circles', 'gather_agent_turn',
    'gather_channels', 'gather_inbox', 'gather_worker', 'gather_people', 'gather_accounts', 'gather_jobs']) r
union
select 'gather_claws', 'schedule-dispatch'
union
select r, e.kind from jobs.enqueuer e, unnest(array['gather_claws', 'gather_claw_provision']) r
where e.role in ('gather_people', 'gather_channels', 'gather_circles');
insert into inbox.kind (name) values ('claw');
insert into jobs.notified (function) values ('claws.job_ended');
