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
    constraint event_type_form check (type ~ '^[a-z]+([.-][a-z]+)*$'),
    constraint event_subject_form check (subject ~ '^[a-z]+:[a-zA-Z0-9-]{1,100}$'),
    constraint event_data_size check (pg_column_size(data) <= 262144),
    constraint event_depth check (depth >= 0)
) partition by range (created_at);
create index event_xid on events.event (xid);
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
-- a topic's id and says whether that account may read it.
create table events.topic_kind (
    kind text primary key,
    reader text not null,
    constraint topic_kind_form check (kind ~ '^[a-z]+$')
);
insert into events.topic_kind (kind, reader) values
    ('account', 'events.may_read_account'),
    ('all', 'events.may_read_all'),
    ('job', 'jobs.may_read_topic');

-- Which types of events a role may write: those that begin with the prefix.
create table events.emitter (
    role text not null,
    prefix text not null,
    primary key (role, prefix),
    constraint emitter_prefix_form check (prefix ~ '^[a-z]+\.$')
);

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
