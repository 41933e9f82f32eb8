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

-- How many attempts had which result. Rows are only ever inserted, so that nobody waits for a counter's row, and added up
-- by the workers.
create table webhooks.attempt_count (
    result text not null,
    count bigint not null default 1,
    constraint attempt_count_result_known check (result in ('delivered', 'refused', 'gone', 'unanswered'))
);
-- What is measured of them: the disabled, and what waits longest.
create index webhook_disabled on webhooks.webhook (id) where disabled is not null;
create index webhook_failing on webhooks.webhook (id) where disabled is not null or failing_since is not null;
create index job_webhook_delivery on jobs.job (created_at) where kind = 'webhook-delivery' and finished_at is null;

-- Who may send to hooks. A function adds its own sources by rows here; docs/webhooks.md says how.
create table webhooks.source (
    -- As in addresses, and before the point in the types of its events.
    name text primary key,
    -- How senders are believed. `hmac`: by the HMAC-SHA-256 of the body under the text of the secret, in a header.
    -- `generic`: by the secret itself, or signed according to Standard Webhooks.
    verification text not null default 'generic',
    -- For `hmac`: the header, in lower case, what stands in it before the tag, and how the tag is written.
    signature_header text,
    signature_prefix text not null default '',
    signature_encoding text not null default 'hex',
    -- The header, in lower case, with the sender's id of a delivery.
    delivery_header text,
    max_bytes integer not null default 1048576,
    -- The SQL function that names an event: it takes the request's headers and its content, both jsonb, and answers text,
    -- or null for what shall be no event. Null: each is `<name>.received`.
    function text,
    constraint source_name_form check (name ~ '^[a-z]{1,30}$'),
    constraint source_verification_known check (verification in ('hmac', 'generic')),
    constraint source_signature_form check (
        case verification when 'hmac' then signature_header is not null else signature_header is null end
        and signature_header ~ '^[a-z0-9-]{1,100}$' and char_length(signature_prefix) <= 50),
    constraint source_encoding_known check (signature_encoding in ('hex', 'base64')),
    constraint source_delivery_form check (delivery_header ~ '^[a-z0-9-]{1,100}$'),
    -- Content is read as a whole, and takes many times its bytes; of GitHub's, only what is used is.
    constraint source_max_bytes check (max_bytes between 1 and 1048576 or name = 'github'),
    constraint source_function_form check (function ~ '^[a-z_]+\.[a-z_]+$')
);
insert into webhooks.source (name, verification, signature_header, signature_prefix, delivery_header, max_bytes) values
    ('github', 'hmac', 'x-hub-signature-256', 'sha256=', 'x-github-delivery', 25000000);
insert into webhooks.source (name, delivery_header) values ('generic', 'x-hook-delivery');

-- The token in a hook's address and the secret of its senders follow from its id and the platform's key.
create table webhooks.hook (
    id uuid primary key default platform.uuid_v7(),
    owner_id uuid not null references identity.account (id) on delete cascade,
    source text not null,
    created_at timestamptz not null default now(),
    received_at timestamptz,
    constraint hook_source_fkey foreign key (source) references webhooks.source (name)
);
create index hook_owner on webhooks.hook (owner_id, id);
create index hook_source on webhooks.hook (source);

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

insert into events.topic_kind (kind, reader, administered) values ('hook', 'webhooks.may_read_topic', true);
insert into events.emitter (role, prefix) values ('gather_webhooks', 'github.'), ('gather_webhooks', 'hook.');
insert into jobs.enqueuer (role, kind) values ('gather_webhooks', 'webhook-delivery');
-- A delivery starts nothing here, and a busy topic has all of its events told.
insert into events.uncounted (kind) values ('webhook-delivery');
