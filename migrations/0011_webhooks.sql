-- Webhooks: what happens here is told to addresses elsewhere. Hooks: what happens elsewhere becomes events here.

create schema webhooks;

create table webhooks.webhook (
    id uuid primary key default platform.uuid_v7(),
    owner_id uuid not null references identity.account (id) on delete cascade,
    url text not null,
    topics text[] not null,
    types text[],
    -- The subscription of events that starts its deliveries.
    subscription uuid not null,
    -- Why nothing is sent to it any more; null: it is enabled.
    disabled text,
    -- While its receiver fails: since when, how often in a row, and when it is tried again.
    failing_since timestamptz,
    failures integer not null default 0,
    retry_at timestamptz,
    -- When its owner was told of deliveries that never arrived.
    noted_at timestamptz,
    created_at timestamptz not null default now(),
    constraint webhook_url_size check (char_length(url) between 1 and 2000),
    constraint webhook_disabled_known check (disabled in ('gone', 'failing'))
);
create index webhook_owner on webhooks.webhook (owner_id, id);

-- The versions of its secret that count. What they are follows from the platform's key, so none is kept here.
create table webhooks.secret (
    webhook_id uuid not null references webhooks.webhook (id) on delete cascade,
    version integer not null,
    -- Null: the present one.
    until timestamptz,
    constraint secret_pkey primary key (webhook_id, version)
);

create table webhooks.delivery (
    -- What receivers tell repeats by.
    id uuid primary key default platform.uuid_v7(),
    webhook_id uuid not null references webhooks.webhook (id) on delete cascade,
    -- Which event it tells, as `events.find` takes it: its content is looked up for each attempt, and kept nowhere else.
    -- Null: a test.
    event jsonb,
    event_id uuid,
    type text not null,
    topic text,
    state text not null default 'waiting',
    attempts integer not null default 0,
    -- Of the last attempt: the status and the head of the answer, or why there was none.
    status integer,
    reply text,
    error text,
    duration_ms integer,
    attempted_at timestamptz,
    created_at timestamptz not null default now(),
    -- It is given up then.
    expires_at timestamptz not null default now() + interval '1 day',
    ended_at timestamptz,
    constraint delivery_event_key unique (webhook_id, event_id),
    constraint delivery_state_known check (state in ('waiting', 'delivered', 'dead')),
    constraint delivery_ended check ((ended_at is not null) = (state <> 'waiting')),
    constraint delivery_reply_size check (char_length(reply) <= 1000),
    constraint delivery_error_size check (char_length(error) <= 300)
);
create index delivery_webhook on webhooks.delivery (webhook_id, id);
create index delivery_state on webhooks.delivery (webhook_id, state, id);
create index delivery_created on webhooks.delivery (created_at);

-- The token in a hook's address and the secret of its senders follow from its id and the platform's key.
create table webhooks.hook (
    id uuid primary key default platform.uuid_v7(),
    owner_id uuid not null references identity.account (id) on delete cascade,
    source text not null,
    created_at timestamptz not null default now(),
    received_at timestamptz,
    constraint hook_source_known check (source in ('github', 'generic'))
);
create index hook_owner on webhooks.hook (owner_id, id);

-- Deliveries that were taken, by the sender's ids.
create table webhooks.received (
    hook_id uuid not null references webhooks.hook (id) on delete cascade,
    delivery text not null,
    at timestamptz not null default now(),
    constraint received_pkey primary key (hook_id, delivery),
    constraint received_delivery_size check (char_length(delivery) between 1 and 200)
);
create index received_at on webhooks.received (at);

select platform.leaver('webhooks');

select platform.function_role('webhooks');
grant select on webhooks.webhook, webhooks.secret, webhooks.delivery to gather_webhooks;
grant select, delete on webhooks.hook to gather_webhooks;

-- The work: sends one delivery.
select platform.role('webhook_delivery', 'webhooks');

insert into events.topic_kind (kind, reader) values ('hook', 'webhooks.may_read_topic');
insert into events.emitter (role, prefix) values ('gather_webhooks', 'github.'), ('gather_webhooks', 'hook.');
insert into jobs.enqueuer (role, kind) values ('gather_webhooks', 'webhook-delivery');
-- A delivery starts nothing here, and a busy topic has all of its events told.
insert into events.uncounted (kind) values ('webhook-delivery');
