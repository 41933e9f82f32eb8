-- The outbox, made anew for readers that follow it live: who may read what, in which order, and how to go on
-- after a break.

-- Whoever emits locks nothing and is told nothing: one sequence orders what one lock orders. An event whose
-- transaction commits late keeps its number, so readers go by the transaction and not by the number.
create sequence events.event_number;

alter table events.event rename constraint event_pkey to former_pkey;
alter table events.event drop constraint former_pkey;
alter table events.event
    add column number bigint not null default nextval('events.event_number'),
    -- The transaction that wrote it: `pg_visible_in_snapshot` tells whether a reader has seen it.
    add column xid xid8 not null default pg_current_xact_id(),
    -- The object whose content `data` carries, such as `message:<id>`, so that a deletion reaches it.
    add column subject text,
    -- The account that did it.
    add column actor uuid,
    -- The only accounts that may see it, of those that may read the topic; null: all of those.
    add column audience uuid[],
    -- The event that led to it, and how many led to that one.
    add column cause uuid,
    add column depth smallint not null default 0,
    add constraint event_pkey primary key (created_at, number),
    add constraint event_subject_form check (subject ~ '^[a-z]+:[a-zA-Z0-9-]{1,100}$'),
    add constraint event_data_size check (pg_column_size(data) <= 262144),
    add constraint event_depth check (depth >= 0);
alter table events.event drop constraint event_topic_form;
alter table events.event
    add constraint event_topic_form check (topic ~ '^[a-z]+:[a-zA-Z0-9-]{1,100}$|^tag:[^[:space:]:]{1,40}$');
drop index events.event_topic;
create index event_xid on events.event (xid);
create index event_topic on events.event (topic, xid, number);
create index event_subject on events.event (subject) where subject is not null;

-- Notifications take turns at commit, so writers give them to sleeping readers only: a row for each of those.
drop trigger event_wake on events.event;
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

do $$
begin
    create role gather_events login nosuperuser nocreatedb nocreaterole noinherit;
    alter role gather_events set search_path = events;
    alter role gather_events set timezone = 'UTC';
    alter role gather_events set statement_timeout = '25s';
    alter role gather_events set idle_in_transaction_session_timeout = '60s';
exception when duplicate_object or unique_violation then null;
end
$$;
-- The gateway reads all events and asks who may read them; it writes nothing but that it sleeps.
do $$
begin
    create role gather_realtime login nosuperuser nocreatedb nocreaterole noinherit;
    alter role gather_realtime set search_path = events;
    alter role gather_realtime set timezone = 'UTC';
    alter role gather_realtime set statement_timeout = '25s';
    alter role gather_realtime set idle_in_transaction_session_timeout = '60s';
exception when duplicate_object or unique_violation then null;
end
$$;
grant usage on schema platform, identity, events to gather_events, gather_realtime;
grant execute on function platform.uuid_v7() to gather_events;
grant execute on function identity.check_in(timestamptz, bytea, text, text, integer, boolean),
    identity.signed_by(bytea, bytea, timestamptz), identity.refuse_access(uuid, text, text, text, text)
    to gather_events, gather_realtime;
grant select, insert, update, delete on events.sleeper to gather_realtime;
