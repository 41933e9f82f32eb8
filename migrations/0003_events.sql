-- The outbox: the statement that changes something also writes here what happened, so that both
-- are there or neither is. Who listens is woken by NOTIFY and reads; nothing is told by NOTIFY alone.

create schema events;

create table events.event (
    id uuid not null default platform.uuid_v7(),
    -- Whom it concerns: `job:<id>`, `account:<id>`, …
    topic text not null,
    -- What happened: `job.progress`, …
    type text not null,
    data jsonb not null,
    created_at timestamptz not null default now(),
    primary key (created_at, id),
    constraint event_topic_form check (topic ~ '^[a-z]+:[a-zA-Z0-9-]{1,100}$'),
    constraint event_type_form check (type ~ '^[a-z]+([.-][a-z]+)*$')
) partition by range (created_at);
create index event_topic on events.event (topic, created_at, id);

-- For events outside of all partitions: a clock that jumped must not stop the platform.
create table events.event_default partition of events.event default;
