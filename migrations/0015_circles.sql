-- Agents that the platform thinks for: personas, the circles and conversations they speak in, and their turns, each a log
-- of steps.

create schema circles;

create table circles.persona (
    id uuid primary key default platform.uuid_v7(),
    -- Null: the platform brings it along.
    owner_id uuid references identity.account (id) on delete cascade,
    name text collate "C" not null,
    visibility text not null default 'private',
    -- The newest of its versions.
    version integer not null default 1,
    created_at timestamptz not null default now(),
    deleted_at timestamptz,
    constraint persona_name_form check (name ~ '^[a-z0-9][a-z0-9-]{1,39}$'),
    constraint persona_visibility_known check (visibility in ('private', 'team', 'public')),
    constraint persona_version_positive check (version > 0)
);
create unique index persona_name_key on circles.persona (owner_id, name) nulls not distinct where deleted_at is null;
create index persona_visible on circles.persona (name, id) where deleted_at is null;

-- Versions never change.
create table circles.persona_version (
    persona_id uuid not null references circles.persona (id) on delete cascade,
    number integer not null,
    definition jsonb not null,
    digest text not null,
    created_at timestamptz not null default now(),
    constraint persona_version_pkey primary key (persona_id, number),
    constraint persona_version_size check (pg_column_size(definition) <= 262144)
);

-- An account that the platform thinks for.
create table circles.seat (
    account_id uuid primary key references identity.account (id) on delete cascade,
    -- Who answers and pays for it. It may never do more than its owner.
    owner_id uuid not null references identity.account (id) on delete cascade,
    persona_id uuid not null references circles.persona (id),
    -- Null: always the newest.
    persona_version integer,
    -- Whether everybody who is signed in may talk with it, and its owner pays.
    public boolean not null default false,
    -- Whether it thinks: the turns of one that is `paused` wait, one that is `stopped` begins none, and one that is
    -- `elsewhere` has a program of its own.
    state text not null default 'awake',
    -- Of its owner's scopes, those that it has; null: all.
    scopes text[],
    -- The accounts that decide about its calls of tools; null: its owner.
    approvers uuid[],
    -- What wakes it outside of circles: `direct` messages, and each `mention` in a channel. Null: it lives in circles, and
    -- answers its owner wherever both are.
    listens text[],
    -- The way in which it takes what is written while it thinks, where no circle has a rule.
    on_busy text,
    created_at timestamptz not null default now(),
    constraint seat_state_known check (state in ('awake', 'paused', 'stopped', 'elsewhere')),
    constraint seat_listens_known check (listens <@ array['direct', 'mention']),
    constraint seat_on_busy_known check (on_busy in ('queue', 'steer', 'interrupt'))
);
create index seat_owner on circles.seat (owner_id, account_id);
create index seat_persona on circles.seat (persona_id);
create index seat_approvers on circles.seat using gin (approvers) where approvers is not null;

create table circles.circle (
    id uuid primary key default platform.uuid_v7(),
    name text collate "C" not null,
    purpose text not null default '',
    -- The author of the purpose, which agents of others take for a stranger's words.
    purpose_by uuid references identity.account (id) on delete set null,
    mode text not null default 'mention',
    rules jsonb not null default '{}',
    private boolean not null default false,
    -- Whether everybody who is signed in may talk with its agents, whose owners pay.
    public boolean not null default false,
    created_by uuid references identity.account (id) on delete set null,
    created_at timestamptz not null default now(),
    version integer not null default 1,
    constraint circle_name_key unique (name),
    constraint circle_name_form check (
        name ~ '^[a-z0-9-]{2,60}$' and name !~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'),
    constraint circle_purpose_size check (char_length(purpose) <= 4000),
    constraint circle_mode_known check (mode in ('mention', 'round_robin', 'moderated', 'parallel', 'handoff')),
    constraint circle_rules_size check (jsonb_typeof(rules) = 'object' and pg_column_size(rules) <= 8192)
);
create index circle_public on circles.circle (id) where not private;

create table circles.member (
    circle_id uuid not null references circles.circle (id) on delete cascade,
    account_id uuid not null references identity.account (id) on delete cascade,
    role text not null default 'member',
    -- Who speaks when: the smallest first.
    place integer not null default 0,
    joined_at timestamptz not null default clock_timestamp(),
    constraint member_pkey primary key (circle_id, account_id),
    constraint member_role_known check (role in ('owner', 'moderator', 'member', 'observer')),
    constraint member_place_range check (place between 0 and 10000)
);
create index member_account on circles.member (account_id, circle_id);
create index member_place on circles.member (circle_id, place, account_id);

-- What the members of a circle agree on by votes.
create table circles.proposal (
    id uuid primary key default platform.uuid_v7(),
    circle_id uuid not null references circles.circle (id) on delete cascade,
    kind text not null,
    text text not null,
    by_id uuid references identity.account (id) on delete set null,
    status text not null default 'open',
    -- The memory that it became.
    memory_id uuid,
    created_at timestamptz not null default now(),
    decided_at timestamptz,
    constraint proposal_kind_known check (kind in ('canon', 'plan', 'answer')),
    constraint proposal_text_size check (char_length(text) between 1 and 4000),
    constraint proposal_decided check ((decided_at is not null) = (status in ('accepted', 'rejected'))),
    constraint proposal_status_known check (status in ('open', 'accepted', 'rejected'))
);
create index proposal_circle on circles.proposal (circle_id, id);
create index proposal_by on circles.proposal (by_id) where by_id is not null;

create table circles.vote (
    proposal_id uuid not null references circles.proposal (id) on delete cascade,
    account_id uuid not null references identity.account (id) on delete cascade,
    value smallint not null,
    reason text,
    at timestamptz not null default clock_timestamp(),
    constraint vote_pkey primary key (proposal_id, account_id),
    constraint vote_value_range check (value between -1 and 1),
    constraint vote_reason_size check (char_length(reason) <= 1000)
);
create index vote_account on circles.vote (account_id);

-- What a channel has beside its messages if it is a conversation.
create table circles.conversation (
    channel_id uuid primary key references channels.channel (id) on delete cascade,
    circle_id uuid references circles.circle (id) on delete set null,
    title text not null default '',
    status text not null default 'open',
    -- The turn whose agent asks another one here; null: it is nobody's but its members'.
    asked_by uuid,
    -- What a run or a schedule asks for here, until it is answered: {"prompt", "output", "tools", "max_turns", "cause",
    -- "depth"}. Null: nothing, or that is over.
    task jsonb,
    -- The public agent or circle that a client of A2A talks with here.
    door uuid,
    created_by uuid references identity.account (id) on delete set null,
    -- Of each turn here, beside those of its persona; null: none.
    limits jsonb,
    -- Whether its circle is deleted, so that it is never open again.
    is_over boolean not null default false,
    constraint conversation_limits_size check (pg_column_size(limits) <= 4096),
    constraint conversation_status_known check (status in ('open', 'paused', 'closed')),
    constraint conversation_title_size check (char_length(title) <= 200)
);
create index conversation_door on circles.conversation (created_by, door, channel_id) where door is not null;
create index conversation_task on circles.conversation (channel_id) where task is not null;
create index conversation_circle on circles.conversation (circle_id, channel_id) where circle_id is not null;

-- One thought of one speaker. What it did is in its steps.
create table circles.turn (
    id uuid primary key default platform.uuid_v7(),
    channel_id uuid not null references channels.channel (id) on delete cascade,
    circle_id uuid references circles.circle (id) on delete set null,
    agent_id uuid not null references identity.account (id) on delete cascade,
    -- The persona that it began with; null: the speaker has a program of its own.
    persona_id uuid references circles.persona (id),
    persona_version integer,
    persona_digest text,
    -- The message that it answers, and that message's number.
    cause_id uuid references channels.message (id) on delete set null,
    cause_seq bigint not null,
    -- How many replies of agents lie between it and what a person wrote.
    hops smallint not null default 0,
    -- The turn that asked for it, the step of that turn, and how many stand above it.
    parent_id uuid references circles.turn (id) on delete set null,
    parent_step integer,
    depth smallint not null default 0,
    -- The only accounts that may see it and its reply; null: all who may read the channel.
    visible_to uuid[],
    status text not null default 'queued',
    reason text,
    waiting_for text,
    -- What the last model that answered was told, up to this message; and what one has to be told before the turn may end.
    read_seq bigint not null default 0,
    wanted_seq bigint not null default 0,
    -- Whether it has read what strangers wrote.
    tainted boolean not null default false,
    -- What woke it, where no message did.
    prompt text,
    -- What its agent recalled of its memory when it began.
    recalled text,
    partial text,
    reply_id uuid references channels.message (id) on delete set null,
    -- The SHA-256 of the reply, as it was posted.
    reply_digest text,
    -- Who speaks next, where the speaker or the moderator names that.
    next_id uuid,
    -- The job that works on it, and the attempt of that job whose writes count.
    job_id uuid,
    holder text,
    -- The attempts since the last step.
    idle_attempts smallint not null default 0,
    created_at timestamptz not null default clock_timestamp(),
    started_at timestamptz,
    deadline_at timestamptz,
    finished_at timestamptz,
    constraint turn_status_known
        check (status in ('queued', 'running', 'waiting', 'completed', 'failed', 'cancelled', 'limited')),
    constraint turn_reason_known check (reason in ('silent', 'steps', 'budget', 'time', 'looping', 'hops', 'stuck',
        'no-provider-configured', 'provider-failed', 'context-too-large', 'suspended', 'refused', 'stopped')),
    constraint turn_waiting check ((waiting_for is not null) = (status = 'waiting')),
    constraint turn_waiting_for_known check (waiting_for in ('approval', 'speaker')),
    constraint turn_finished
        check ((finished_at is not null) = (status in ('completed', 'failed', 'cancelled', 'limited'))),
    constraint turn_hops_range check (hops between 0 and 100)
);
create index turn_channel on circles.turn (channel_id, id);
create index turn_agent on circles.turn (agent_id, id);
-- Who has been silent longest.
create index turn_spoke on circles.turn (channel_id, agent_id, created_at);
create index turn_unfinished on circles.turn (channel_id, agent_id) where finished_at is null;
create index turn_of_agent_unfinished on circles.turn (agent_id) where finished_at is null;
create index turn_cause on circles.turn (cause_id) where cause_id is not null;
create index turn_reply on circles.turn (reply_id) where reply_id is not null;
create index turn_job on circles.turn (job_id) where finished_at is null;
create index turn_persona on circles.turn (persona_id);
create index turn_finished on circles.turn (finished_at) where finished_at is not null;
create index turn_circle on circles.turn (circle_id) where circle_id is not null;
create index turn_parent on circles.turn (parent_id) where parent_id is not null;

-- Each call of a model and of a tool: written before it begins, and when it has ended.
create table circles.step (
    turn_id uuid not null references circles.turn (id) on delete cascade,
    number integer not null,
    kind text not null,
    status text not null default 'started',
    name text,
    -- Of a tool: the step of the model that asked for it, and the number of the call there.
    of_step integer,
    call integer,
    arguments jsonb,
    -- What the model said, or what the tool answered.
    text text,
    -- Of a model: the calls of tools that it asked for.
    calls jsonb,
    tainted boolean not null default false,
    input_tokens bigint not null default 0,
    output_tokens bigint not null default 0,
    -- Of a model: what it was told, up to this message. Of a summary: the last message that it stands for.
    read_seq bigint,
    -- Of a summary: the last answer of a model that it stands for, with its results; 0 if there is none.
    covers integer,
    -- Of a tool: the same for the same call with the same result.
    fingerprint text,
    -- Of a skill: the signed statement of its call.
    receipt jsonb,
    approval_id uuid,
    -- What exactly is approved.
    approval_digest text,
    -- Null while the approval is awaited.
    begun_at timestamptz,
    -- Of a model: when its first words came.
    spoke_at timestamptz,
    ended_at timestamptz,
    constraint step_pkey primary key (turn_id, number),
    constraint step_call_key unique (turn_id, of_step, call),
    constraint step_kind_known check (kind in ('model', 'tool', 'summary')),
    constraint step_status_known check (status in ('started', 'succeeded', 'failed', 'denied', 'unknown')),
    constraint step_ended check ((ended_at is not null) = (status <> 'started')),
    constraint step_parts check ((kind = 'tool') = (of_step is not null) and (kind = 'tool') = (call is not null))
);
create index step_approval on circles.step (approval_id) where approval_id is not null;

-- What an agent has summed up of a conversation, for its later turns there. It goes when a message changes that is in it.
create table circles.summary (
    channel_id uuid not null references channels.channel (id) on delete cascade,
    agent_id uuid not null references identity.account (id) on delete cascade,
    -- The last message that it stands for.
    seq bigint not null,
    text text not null,
    -- Whether what strangers wrote is in it.
    tainted boolean not null,
    constraint summary_pkey primary key (channel_id, agent_id)
);
create index summary_agent on circles.summary (agent_id);

-- A server of tools that its owner's agents may use, with the definitions that the owner has accepted.
create table circles.tool_source (
    id uuid primary key default platform.uuid_v7(),
    owner_id uuid not null references identity.account (id) on delete cascade,
    name text collate "C" not null,
    kind text not null,
    url text not null,
    -- By name; a value is a text, or `vault:<name>` for a secret of the owner's.
    headers jsonb not null default '{}',
    revision text not null,
    tools jsonb not null,
    digest text not null,
    -- When the server was first found to have other definitions; null: it has these.
    changed_at timestamptz,
    created_at timestamptz not null default now(),
    constraint tool_source_key unique (owner_id, name),
    constraint tool_source_name_form check (name ~ '^[a-z0-9][a-z0-9-]{0,39}$'),
    constraint tool_source_kind_known check (kind = 'mcp'),
    constraint tool_source_size check (pg_column_size(tools) <= 1048576 and pg_column_size(headers) <= 16384)
);

select platform.leaver('circles');
select platform.function_role('circles');
-- Changes go through the schema's functions only.
grant select on circles.persona, circles.persona_version, circles.seat, circles.circle, circles.member,
    circles.conversation, circles.turn, circles.step, circles.tool_source, circles.proposal, circles.vote to gather_circles;

select platform.role('agent_turn', 'circles');
-- Sockets name circles by their names.
grant usage on schema circles to gather_realtime;

insert into events.topic_kind (kind, reader) values
    ('circle', 'circles.may_read_circle_topic'), ('conversation', 'channels.may_read_topic'),
    ('turn', 'circles.may_read_turn_topic'), ('agent', 'circles.may_read_agent_topic');
-- Whoever posts a message may begin turns, and whoever decides an approval, leaves, suspends or cancels a job goes on with
-- them or ends them.
insert into events.emitter (role, prefix)
select r, p from unnest(array['gather_circles', 'gather_agent_turn', 'gather_channels', 'gather_inbox', 'gather_worker',
    'gather_people', 'gather_accounts', 'gather_jobs']) r, unnest(array['turn.']) p
union all
select r, p from unnest(array['gather_circles', 'gather_agent_turn']) r, unnest(array['message.', 'channel.']) p
union all
select 'gather_circles', p from unnest(array['circle.', 'member.', 'persona.', 'proposal.']) p
union all
-- Who leaves the platform leaves its circles.
values ('gather_people', 'member.')
union all
values ('gather_agent_turn', 'tool-source.');
insert into jobs.enqueuer (role, kind)
select r, 'agent-turn' from unnest(array['gather_circles', 'gather_agent_turn', 'gather_channels', 'gather_inbox',
    'gather_worker', 'gather_jobs']) r;
insert into inbox.on_decided (kind, function) values ('turn', 'circles.decided');
