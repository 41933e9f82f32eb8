-- Pipelines: graphs of steps, kept as data in numbered versions, and their runs. What a run has done stands in its rows,
-- so it goes on after any crash; the work itself is done by the component `pipeline-run`.

create schema pipelines;

create table pipelines.pipeline (
    id uuid primary key default platform.uuid_v7(),
    owner_id uuid not null references identity.account (id) on delete cascade,
    name text collate "C" not null,
    active_version integer not null default 1,
    -- Who else may read it: members of the team, or everybody who is signed in.
    team_id uuid references identity.team (id) on delete set null,
    visibility text not null default 'private',
    -- No run starts while it is paused; those that have started go on.
    paused boolean not null default false,
    archived_at timestamptz,
    created_at timestamptz not null default now(),
    constraint pipeline_name_form check (
        name ~ '^[a-z0-9][a-z0-9-]{0,59}$' and name !~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'),
    constraint pipeline_visibility_known check (visibility in ('private', 'team', 'public')),
    -- POST /api/pipelines/validate shares its path with names.
    constraint pipeline_name_free check (name <> 'validate')
);
create unique index pipeline_name_key on pipelines.pipeline (owner_id, name) where archived_at is null;
create index pipeline_team on pipelines.pipeline (team_id) where team_id is not null;
create index pipeline_owner on pipelines.pipeline (owner_id, id);
create index pipeline_present on pipelines.pipeline (owner_id, id) where archived_at is null;

-- A version never changes, and runs pin theirs.
create table pipelines.version (
    pipeline_id uuid not null references pipelines.pipeline (id) on delete cascade,
    number integer not null,
    -- The SHA-256 of the canonical definition (RFC 8785).
    digest text not null,
    definition jsonb not null,
    -- The skills that it calls by name: [{"name", "asked", "version", "permissions"}]. `asked` is the version that the
    -- definition names; null: the one that was the latest when this was published.
    skills jsonb not null default '[]',
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
    -- The run that started it, by which of its steps, and how many runs are above it.
    parent_id uuid,
    parent_path text collate "C",
    level integer not null default 0,
    -- The event that led to it, and how many starts of work by events lie behind it.
    event_id uuid,
    depth smallint not null default 0,
    -- Somebody has paused it: its driver stops as soon as nothing is being sent.
    is_paused boolean not null default false,
    -- Of the runs with the same key only so many go on at a time, as the definition says: whether it is one of these.
    concurrency_key text,
    concurrency_limit integer,
    is_admitted boolean not null default false,
    -- What it may use, and what its agents and skills have used: {"cost", "tokens", "fuel"}.
    budget jsonb not null default '{}',
    used jsonb not null default '{}',
    -- Outputs of steps that are not done, by their paths.
    stubs jsonb not null default '{}',
    -- When it is forgotten.
    forgotten_at timestamptz,
    -- It is to be cancelled: the error that it ends with. Null: it is not.
    cancels jsonb,
    -- What is open is given up: it is cancelled by force, or the time that a cancelled run has is over.
    is_forced boolean not null default false,
    -- The job that drove it gave up.
    is_lost boolean not null default false,
    -- When it was last told how far its maps are.
    progress_at timestamptz,
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
    constraint run_status_known check (status in ('queued', 'running', 'waiting', 'paused', 'cancelling', 'succeeded',
        'failed', 'cancelled', 'timed_out')),
    constraint run_finished check (
        (finished_at is not null) = (status in ('succeeded', 'failed', 'cancelled', 'timed_out'))),
    constraint run_cause_known check (cause in ('call', 'restart', 'schedule', 'event', 'webhook', 'pipeline')),
    constraint run_key_size check (char_length(key) between 1 and 200),
    constraint run_level check (level between 0 and 8),
    constraint run_parent check ((parent_id is null) = (parent_path is null)),
    constraint run_priority_range check (priority between -100 and 100)
) with (fillfactor = 85);
create unique index run_key on pipelines.run (pipeline_id, key) where key is not null and finished_at is null;
create index run_account on pipelines.run (account_id, id);
create index run_account_status on pipelines.run (account_id, status, id);
create index run_pipeline on pipelines.run (pipeline_id, id);
create index run_pipeline_status on pipelines.run (pipeline_id, status, id);
create index run_parent on pipelines.run (parent_id, id) where parent_id is not null;
create index run_active on pipelines.run (account_id) where finished_at is null;
create index run_unfinished on pipelines.run (id) where finished_at is null;
create index run_job on pipelines.run (job_id) where job_id is not null;
create index run_concurrency on pipelines.run (pipeline_id, concurrency_key, priority, id)
    where concurrency_key is not null and finished_at is null;
create index run_forgotten_at on pipelines.run (forgotten_at) where forgotten_at is not null;

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
    -- The run that it has started.
    child_id uuid,
    -- The conversation in which it has asked an agent or a circle.
    conversation_id uuid,
    -- The subscriptions of the events that it waits for.
    subscriptions uuid[],
    -- What it waits for, as it has happened; its driver looks at it.
    answer jsonb,
    -- What an attempt has told after the step had been ended: {"outcome", "at"}.
    late jsonb,
    -- How often the breaker that its attempt has passed had opened by then.
    openings integer,
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
create unique index step_conversation on pipelines.step (conversation_id) where conversation_id is not null;
create index step_uncertain on pipelines.step (run_id) where status = 'uncertain';

-- The breakers of nodes that send requests, for all runs of their pipelines. They open when too many attempts fail; after
-- the cooldown one attempt is let through at a time, until one succeeds.
create table pipelines.breaker (
    pipeline_id uuid not null references pipelines.pipeline (id) on delete cascade,
    -- The path of the node, without the places in maps.
    node text collate "C" not null,
    status text not null default 'closed',
    -- When attempts have failed of late.
    failed_at timestamptz[] not null default '{}',
    -- How often it has opened. What earlier attempts tell counts for nothing.
    openings integer not null default 0,
    -- Until when nothing is let through; of a half-open one, until when the attempt is waited for that was.
    until timestamptz,
    constraint breaker_pkey primary key (pipeline_id, node),
    constraint breaker_status_known check (status in ('closed', 'open', 'half-open')),
    constraint breaker_until check ((until is null) = (status = 'closed'))
);
create index breaker_open on pipelines.breaker (status) where status <> 'closed';

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
    constraint ended_what_known check (what in ('run', 'step', 'firing'))
);

-- Work that starts at times.
create table pipelines.schedule (
    id uuid primary key default platform.uuid_v7(),
    owner_id uuid not null references identity.account (id) on delete cascade,
    name text not null,
    -- Its times, as the crate `calendar` reads them.
    times jsonb not null,
    -- {"type", …}: what is done at each of them.
    action jsonb not null,
    -- Those of the credential that said so, separated by spaces: a call has no more.
    scopes text not null default '',
    -- The prompt of a task, as the message that it becomes.
    message jsonb,
    pipeline_id uuid references pipelines.pipeline (id) on delete cascade,
    -- What happens while the work of the last time goes on.
    overlap text not null default 'skip',
    -- How many of the times that were missed are made up for, and how old they may be.
    catch_up_max integer not null default 1,
    catch_up_within_ms bigint not null default 86400000,
    pause_after_failures integer,
    -- How often in a row it has failed.
    failures integer not null default 0,
    -- Why it is paused; null: it is not.
    paused text,
    -- The time that comes next, and when that fires, which may be a little later; null: there is none.
    due_at timestamptz,
    next_at timestamptz,
    created_at timestamptz not null default now(),
    constraint schedule_name_size check (char_length(name) between 1 and 100),
    constraint schedule_overlap_known check (overlap in ('skip', 'queue', 'cancel', 'allow')),
    constraint schedule_catch_up_range check (catch_up_max between 0 and 100 and catch_up_within_ms >= 0),
    constraint schedule_paused_known check (paused in ('by-hand', 'failures', 'unreadable')),
    constraint schedule_next check ((due_at is null) = (next_at is null))
);
create index schedule_owner on pipelines.schedule (owner_id, id);
create index schedule_next_at on pipelines.schedule (next_at) where next_at is not null and paused is null;
create index schedule_pipeline on pipelines.schedule (pipeline_id) where pipeline_id is not null;

-- What became of a time of a schedule.
create table pipelines.firing (
    id uuid primary key default platform.uuid_v7(),
    schedule_id uuid not null references pipelines.schedule (id) on delete cascade,
    due_at timestamptz not null,
    fired_at timestamptz,
    status text not null,
    reason text,
    run_id uuid,
    job_id uuid,
    -- The conversation in which its task was given to an agent.
    conversation_id uuid,
    -- When the request of a call was about to leave, for the first time.
    sent_at timestamptz,
    -- Whether its schedule has taken note of its end.
    settled boolean not null default false,
    finished_at timestamptz,
    constraint firing_due unique (schedule_id, due_at),
    constraint firing_status_known check (
        status in ('due', 'running', 'succeeded', 'failed', 'cancelled', 'skipped', 'missed')),
    constraint firing_finished check ((finished_at is null) = (status in ('due', 'running')))
) with (fillfactor = 85);
create index firing_status on pipelines.firing (schedule_id, status, due_at);
create index firing_run on pipelines.firing (run_id) where run_id is not null;
create index firing_job on pipelines.firing (job_id) where job_id is not null;
create unique index firing_conversation on pipelines.firing (conversation_id) where conversation_id is not null;
create index firing_unsettled on pipelines.firing (finished_at) where not settled and finished_at is not null;
create index firing_finished_at on pipelines.firing (finished_at) where finished_at is not null;

-- Events, and requests of other systems, that start runs of a pipeline.
create table pipelines.trigger (
    id uuid primary key,
    pipeline_id uuid not null references pipelines.pipeline (id) on delete cascade,
    owner_id uuid not null references identity.account (id) on delete cascade,
    kind text not null default 'event',
    -- Of events. Null: it is a webhook, to whose address others send.
    type text,
    -- How those who send to a webhook sign; null: whoever knows the address may.
    verify text,
    -- Null: every topic that the owner may read.
    topic text,
    -- The expression that decides; null: every event counts.
    condition text,
    -- The template of the input.
    input jsonb not null,
    enabled boolean not null default true,
    -- The subscription of events that starts its work; null: it is disabled.
    subscription uuid,
    created_at timestamptz not null default now(),
    constraint trigger_kind_known check (kind in ('event', 'webhook')),
    constraint trigger_verify_known check (verify in ('standard-webhooks', 'github')),
    constraint trigger_parts check ((kind = 'event') = (type is not null) and (kind = 'webhook' or verify is null)
        and (kind = 'event' or topic is null)),
    constraint trigger_type_size check (char_length(type) between 1 and 100),
    constraint trigger_condition_size check (octet_length(condition) <= 4096)
);
create index trigger_pipeline on pipelines.trigger (pipeline_id, id);
create index trigger_owner on pipelines.trigger (owner_id, id);

-- What became of an event.
create table pipelines.trigger_firing (
    id uuid primary key default platform.uuid_v7(),
    trigger_id uuid not null references pipelines.trigger (id) on delete cascade,
    event_id uuid,
    -- Of a webhook: by what a delivery that comes again is known; null: each counts.
    delivery text,
    status text not null,
    reason text,
    run_id uuid,
    at timestamptz not null default clock_timestamp(),
    constraint trigger_firing_event unique (trigger_id, event_id),
    constraint trigger_firing_delivery unique (trigger_id, delivery),
    constraint trigger_firing_status_known check (status in ('started', 'filtered', 'suppressed', 'failed'))
);
create index trigger_firing_trigger on pipelines.trigger_firing (trigger_id, id);
create index trigger_firing_at on pipelines.trigger_firing (at);

select platform.leaver('pipelines');

select platform.function_role('pipelines');
grant select on pipelines.pipeline, pipelines.version, pipelines.schedule, pipelines.firing,
    pipelines.trigger, pipelines.trigger_firing to gather_pipelines;
-- The work: drives a run.
select platform.role('pipeline_run', 'pipelines');
-- The work: does what schedules say.
select platform.role('schedule_dispatch', 'pipelines');

insert into events.topic_kind (kind, reader, administered) values
    ('pipeline', 'pipelines.may_read_pipeline', true), ('run', 'pipelines.may_read_run', true),
    ('schedule', 'pipelines.may_read_schedule', true);
insert into inbox.kind (name) values ('run'), ('schedule');
insert into inbox.on_decided (kind, function) values ('run', 'pipelines.approval_decided');
-- A decision in the inbox and the end of a job put a run back to work, too, and the end of a run its schedule.
insert into jobs.enqueuer (role, kind)
select r, k from unnest(array['gather_pipelines', 'gather_pipeline_run', 'gather_schedule_dispatch', 'gather_inbox',
    'gather_worker', 'gather_people', 'gather_accounts']) r, unnest(array['pipeline-run', 'schedule-dispatch']) k;
-- Asking agents begins turns, and whoever ends a run ends the turns that it waits for.
insert into jobs.enqueuer (role, kind)
select r, 'agent-turn' from unnest(array['gather_pipelines', 'gather_pipeline_run', 'gather_schedule_dispatch']) r;
insert into events.emitter (role, prefix)
select r, p from unnest(array['gather_pipelines', 'gather_pipeline_run', 'gather_schedule_dispatch']) r,
    unnest(array['turn.', 'message.', 'channel.']) p;
insert into events.held_back (kind, function) values ('pipeline-run', 'pipelines.suppress');
insert into jobs.notified (function) values ('pipelines.job_ended'), ('pipelines.call_ended');
