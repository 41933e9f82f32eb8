-- The outbox: the statement that changes something also writes here what happened, so that both are there or neither
-- is. Readers follow it: who may read what, in which order, and how to go on after a break.

create schema events;

-- Whoever emits locks nothing: one sequence orders what one lock orders. An event whose transaction commits late keeps
-- its number, so readers go by the transaction and not by the number.
create sequence events.event_number;

create table events.event (
    number bigint not null default nextval('events.event_number'),
    -- An event on several topics is several rows with one id.
    id uuid not null default platform.uuid_v7(),
    -- Whom it concerns: `job:<id>`, `account:<id>`, …
    topic text not null,
    -- What happened: `job.progress`, …
    type text not null,
    data jsonb not null,
    -- The transaction that wrote it: `pg_visible_in_snapshot` tells whether a reader has seen it.
    xid xid8 not null default pg_current_xact_id(),
    -- The object whose content `data` carries, such as `message:<id>`, so that a deletion reaches it.
    subject text,
    -- The account that did it.
    actor uuid,
    -- The only accounts that may see it, of those that may read the topic; null: all of those.
    audience uuid[],
    -- The event that led to it, and how many led to that one.
    cause uuid,
    depth smallint not null default 0,
    created_at timestamptz not null default now(),
    constraint event_pkey primary key (created_at, number),
    constraint event_topic_form check (topic ~ '^[a-z]+:[a-zA-Z0-9-]{1,100}$|^tag:[^[:space:]:]{1,40}$'),
    constraint event_type_form check (type ~ '^[a-z][a-z0-9]*([.-][a-z][a-z0-9]*)*$'),
    constraint event_subject_form check (subject ~ '^[a-z]+:[a-zA-Z0-9-]{1,100}$'),
    constraint event_data_size check (pg_column_size(data) <= 262144),
    constraint event_depth check (depth >= 0)
) partition by range (created_at);
create index event_xid on events.event (xid);
-- Changes of rights are few among the events, and looked for among all of them.
create index event_access on events.event (xid) where type = 'access.changed';
create index event_topic on events.event (topic, xid, number);
create index event_subject on events.event (subject) where subject is not null;

-- For events outside of all partitions: a clock that jumped must not stop the platform.
create table events.event_default partition of events.event default;

-- Notifications take turns at commit, so writers give them to sleeping readers only: a row for each of those.
create unlogged table events.sleeper (
    reader uuid primary key,
    since timestamptz not null default now()
);

-- The kinds of topics, and for each the function of its schema that takes an account (null: nobody is signed in) and
-- a topic's id and says whether that account may read it. Administrators may read all topics of the administered kinds.
create table events.topic_kind (
    kind text primary key,
    reader text not null,
    administered boolean not null default false,
    constraint topic_kind_form check (kind ~ '^[a-z]+$')
);
insert into events.topic_kind (kind, reader, administered) values
    ('account', 'events.may_read_account', true),
    ('all', 'events.may_read_all', true),
    ('job', 'jobs.may_read_topic', true);

-- Which types of events a role may write: those that begin with the prefix.
create table events.emitter (
    role text not null,
    prefix text not null,
    primary key (role, prefix),
    constraint emitter_prefix_form check (prefix ~ '^[a-z-]+\.$')
);

-- What shall be done when something happens: each new event is matched against these, and starts work.
create table events.subscription (
    id uuid primary key default platform.uuid_v7(),
    -- The account that it is for: what it may read counts, when the event is matched.
    owner uuid not null references identity.account (id) on delete cascade,
    -- The role of the function that made it, and what that calls it.
    role text not null,
    name text not null,
    -- Null: whatever the owner may read. `all:all` is every topic, for administrators.
    topics text[],
    -- `message.created`, `message.*`; null: every type.
    types text[],
    -- What the event's data has to contain.
    condition jsonb,
    -- The component that does the work, and what else it is told.
    kind text not null,
    -- Of the jobs: those of one queue run one after another.
    queue text,
    argument jsonb not null default '{}',
    -- What could be seen when it was made has happened before.
    since pg_snapshot default pg_current_snapshot(),
    -- How often it started work in the minute that began then.
    minute timestamptz,
    starts integer not null default 0,
    -- When its owner was told that it starts too much.
    noted_at timestamptz,
    created_at timestamptz not null default now(),
    constraint subscription_name_key unique (role, name),
    constraint subscription_name_size check (char_length(name) between 1 and 100),
    constraint subscription_queue_size check (char_length(queue) between 1 and 128),
    constraint subscription_asks check (topics is not null or types is not null),
    constraint subscription_topics_form check (cardinality(topics) between 1 and 100 and array_position(topics, null) is null
        and array_to_string(topics, ' ') ~ '^([a-z]+:[a-zA-Z0-9-]{1,100}|tag:[^[:space:]:]{1,40})( [a-z]+:[a-zA-Z0-9-]{1,100}| tag:[^[:space:]:]{1,40})*$'),
    constraint subscription_types_form check (cardinality(types) between 1 and 50 and array_position(types, null) is null
        and array_to_string(types, ' ') ~
            '^[a-z][a-z0-9]*([.-][a-z][a-z0-9]*)*(\.\*)?( [a-z][a-z0-9]*([.-][a-z][a-z0-9]*)*(\.\*)?)*$'),
    constraint subscription_condition_form check (jsonb_typeof(condition) = 'object' and pg_column_size(condition) <= 16384),
    constraint subscription_argument_form check (jsonb_typeof(argument) = 'object' and pg_column_size(argument) <= 16384)
);
create index subscription_owner on events.subscription (owner, id);
create index subscription_topics on events.subscription using gin (topics) with (fastupdate = off);
create index subscription_types on events.subscription using gin (types) with (fastupdate = off) where topics is null;

-- Kinds of work that a subscription may start as often as it likes.
create table events.uncounted (
    kind text primary key
);

-- The SQL function, if any, that is told of each event that was not to start work of a kind: it takes the subscription's
-- argument, the event, and the reason.
create table events.held_back (
    kind text primary key,
    function text not null,
    constraint held_back_function_form check (function ~ '^[a-z_]+\.[a-z_]+$')
);

-- How far events have been matched, and the worker that does it.
create table events.dispatcher (
    -- Everything that could be seen then is done.
    seen pg_snapshot not null,
    -- While a large batch is under way: what could be seen when it began, and the last event of it that is done.
    until pg_snapshot,
    last uuid,
    -- The database whose transactions these are: see `events.rebase`.
    database text,
    worker text,
    leads_until timestamptz,
    -- The transaction that wrote this.
    xid xid8 not null,
    one boolean primary key default true,
    constraint dispatcher_one check (one)
);
insert into events.dispatcher (seen, xid) values (pg_current_snapshot(), pg_current_xact_id());

-- The oldest time from which everything is kept: what is older may have been dropped.
create table events.kept (
    since timestamptz not null,
    one boolean primary key default true,
    constraint kept_one check (one)
);
insert into events.kept (since) values (now());

select platform.leaver('events');

select platform.function_role('events', writes => false);

-- The gateway reads all events and asks who may read them; it writes nothing but that it sleeps.
select platform.role('realtime', 'events');
grant usage on schema identity to gather_realtime;
grant select, insert, update, delete on events.sleeper to gather_realtime;
