-- The gateway to language models: providers, aliases, prices, limits, and the ledger of calls.

create schema llm;

-- Who answers: of an account, of a team, or of the platform.
create table llm.provider (
    id uuid primary key default platform.uuid_v7(),
    account_id uuid references identity.account (id) on delete cascade,
    team_id uuid references identity.team (id) on delete cascade,
    owner text not null generated always as (case
        when account_id is not null then 'account:' || account_id::text
        when team_id is not null then 'team:' || team_id::text
        else 'platform' end) stored,
    name text collate "C" not null,
    protocol text not null,
    -- Up to the version, as SDKs call it: with or without `/v1`.
    url text not null,
    -- The secret in `vault` that egress puts in; null: none is needed.
    secret_id uuid,
    -- Whose public prices apply; null: nobody's.
    catalogue text,
    -- Made from a variable of the environment, for as long as that is set.
    environment boolean not null default false,
    -- Gets no new calls.
    drain boolean not null default false,
    -- What its list of models said when it was last checked.
    models text[] not null default '{}',
    -- While it fails for everybody: since when.
    down_since timestamptz,
    created_at timestamptz not null default now(),
    constraint provider_owner_one check (num_nonnulls(account_id, team_id) <= 1),
    constraint provider_name_key unique (owner, name),
    constraint provider_name_form check (name ~ '^[a-z0-9][a-z0-9._-]{0,39}$'),
    constraint provider_protocol_known check (protocol in ('openai', 'anthropic')),
    constraint provider_url_size check (char_length(url) between 1 and 2000)
);
create index provider_account on llm.provider (account_id) where account_id is not null;
create index provider_team on llm.provider (team_id) where team_id is not null;

-- A name for models, with the targets that are tried in order.
create table llm.alias (
    id uuid primary key default platform.uuid_v7(),
    account_id uuid references identity.account (id) on delete cascade,
    team_id uuid references identity.team (id) on delete cascade,
    owner text not null generated always as (case
        when account_id is not null then 'account:' || account_id::text
        when team_id is not null then 'team:' || team_id::text
        else 'platform' end) stored,
    name text collate "C" not null,
    -- Attempts after the first one.
    retries smallint not null default 2,
    -- Whether a request is sent again that a target may have taken.
    retry_uncertain boolean not null default false,
    unsupported text not null default 'refuse',
    capture text not null default 'none',
    environment boolean not null default false,
    updated_at timestamptz not null default now(),
    constraint alias_owner_one check (num_nonnulls(account_id, team_id) <= 1),
    constraint alias_name_key unique (owner, name),
    constraint alias_name_form check (name ~ '^[a-z0-9][a-z0-9._:-]{0,63}$'),
    constraint alias_retries_range check (retries between 0 and 2),
    constraint alias_unsupported_known check (unsupported in ('refuse', 'drop')),
    constraint alias_capture_known check (capture in ('none', 'full'))
);
create index alias_account on llm.alias (account_id) where account_id is not null;
create index alias_team on llm.alias (team_id) where team_id is not null;

-- A model of a provider, or another alias.
create table llm.target (
    alias_id uuid not null references llm.alias (id) on delete cascade,
    place smallint not null,
    rank integer not null default 0,
    provider_id uuid references llm.provider (id) on delete cascade,
    alias text collate "C",
    model text,
    max_output_tokens integer,
    -- How long it may say nothing, and how long an attempt at it may take; null: as the gateway has it.
    silence_ms integer,
    total_ms integer,
    constraint target_pkey primary key (alias_id, place),
    constraint target_one check (num_nonnulls(provider_id, alias) = 1 and (provider_id is null) = (model is null)),
    constraint target_model_size check (char_length(model) between 1 and 200),
    constraint target_max_output_positive check (max_output_tokens > 0),
    constraint target_silence_range check (silence_ms between 1000 and 3600000),
    constraint target_total_range check (total_ms between 1000 and 3600000)
);
create index target_provider on llm.target (provider_id) where provider_id is not null;

-- Prices that override the public ones, in millionths of a dollar for a million tokens. The model `*` is any.
create table llm.price (
    provider_id uuid not null references llm.provider (id) on delete cascade,
    model text collate "C" not null,
    valid_from timestamptz not null,
    input bigint not null,
    -- Null: as other input.
    cached_input bigint,
    cache_write bigint,
    output bigint not null,
    -- The prices of a call whose whole input has more than `tokens`.
    above jsonb,
    constraint price_pkey primary key (provider_id, model, valid_from),
    constraint price_not_negative check (least(input, cached_input, cache_write, output) >= 0)
);

-- A subject that pays: `platform`, `account:<id>`, `team:<id>`, `key:<id>` and so on. Its row is what calls that count for
-- it are lined up by.
create table llm.payer (
    subject text collate "C" primary key,
    -- Which models may be used, as `<provider>/<model>` or with a `*` at the end; null: all.
    models text[],
    requests_per_minute integer,
    tokens_per_minute bigint,
    concurrency integer,
    -- What was counted since this moment.
    minute timestamptz not null default now(),
    requests integer not null default 0,
    tokens bigint not null default 0,
    updated_at timestamptz not null default now(),
    constraint payer_subject_form check (subject ~ '^(platform|[a-z]+:[0-9a-zA-Z-]{1,64})$'),
    constraint payer_limits_positive check (least(requests_per_minute, tokens_per_minute, concurrency) >= 0)
);

-- What a subject may spend in a period, and has spent in the present one: the sum of its calls.
create table llm.budget (
    subject text collate "C" not null references llm.payer (subject) on delete cascade,
    period text not null,
    limit_microusd bigint not null,
    since timestamptz not null,
    spent_microusd bigint not null default 0,
    -- The share of the limit that its owner was last told of, in per cent.
    told smallint not null default 0,
    constraint budget_pkey primary key (subject, period),
    constraint budget_period_known check (period in ('day', 'month', 'total')),
    constraint budget_limit_not_negative check (limit_microusd >= 0)
);

create table llm.call (
    id uuid primary key default platform.uuid_v7(),
    status text not null default 'running',
    account_id uuid references identity.account (id) on delete set null,
    key_id uuid,
    payers text[] not null,
    route text not null,
    alias text,
    -- The target that answers, or answered last; as it was called then.
    provider_id uuid,
    provider text,
    model text,
    purpose text,
    parent text,
    attempts jsonb not null default '[]',
    -- The number of the attempt that is under way; negative: of one that has ended, and none is; 0: nothing was sent yet.
    attempt smallint not null default 1,
    -- All of the input; what was read from a cache or written to one is part of it.
    input_tokens bigint not null default 0,
    cached_tokens bigint not null default 0,
    cache_write_tokens bigint not null default 0,
    -- All of the output; reasoning is part of it.
    output_tokens bigint not null default 0,
    reasoning_tokens bigint not null default 0,
    estimated boolean not null default true,
    -- The prices of the target that answers; null: it has none, and costs nothing.
    price jsonb,
    reserved_output bigint not null default 0,
    reserved_microusd bigint not null default 0,
    cost_microusd bigint not null default 0,
    first_token_ms integer,
    overhead_ms integer,
    duration_ms integer,
    error text,
    request_digest text,
    answer_digest text,
    secret_version integer,
    -- Until then it is under way, or somebody says otherwise.
    lease timestamptz,
    created_at timestamptz not null default clock_timestamp(),
    ended_at timestamptz,
    constraint call_status_known check (status in ('running', 'succeeded', 'failed', 'cancelled', 'cut', 'lost')),
    constraint call_ended check ((ended_at is not null) = (status <> 'running')),
    constraint call_settled check (status = 'running' or (reserved_microusd = 0 and reserved_output = 0)),
    constraint call_cost_not_negative check (least(cost_microusd, reserved_microusd) >= 0),
    constraint call_tokens_parts check (cached_tokens + cache_write_tokens <= input_tokens and reasoning_tokens <= output_tokens),
    constraint call_purpose_form check (purpose ~ '^[a-z0-9][a-z0-9._-]{0,63}$'),
    constraint call_parent_form check (parent ~ '^[a-z]+:[0-9A-Za-z-]{1,64}$'),
    constraint call_error_size check (char_length(error) <= 300)
);
create index call_account on llm.call (account_id, id);
create index call_account_created on llm.call (account_id, created_at);
create index call_status on llm.call (status, id);
create index call_payers on llm.call using gin (payers);
create index call_running on llm.call using gin (payers) where status = 'running';
create index call_lease on llm.call (lease) where status = 'running';
create index call_parent on llm.call (parent, id) where parent is not null;
create index call_created on llm.call (created_at);

-- Requests and answers of aliases that say `capture`.
create table llm.capture (
    call_id uuid primary key references llm.call (id) on delete cascade,
    request text not null,
    answer text,
    created_at timestamptz not null default now()
);

-- Answers to requests with an Idempotency-Key, for a day.
create table llm.answer (
    account_id uuid not null references identity.account (id) on delete cascade,
    key text not null,
    -- Of the route, the body and the protocol's own options.
    fingerprint text not null,
    call_id uuid not null references llm.call (id) on delete cascade,
    headers jsonb,
    body text,
    created_at timestamptz not null default now(),
    constraint answer_pkey primary key (account_id, key),
    constraint answer_key_size check (char_length(key) between 1 and 255)
);
create index answer_call on llm.answer (call_id);
create index answer_created on llm.answer (created_at);

-- Targets that failed through their own fault.
create table llm.breaker (
    provider_id uuid not null references llm.provider (id) on delete cascade,
    model text collate "C" not null,
    -- In a row.
    failures integer not null default 0,
    -- It gets no calls until then.
    until timestamptz,
    reason text not null,
    changed_at timestamptz not null default now(),
    constraint breaker_pkey primary key (provider_id, model)
);

-- Numbers for the metrics: totals, and the calls that ended since. Ended calls are only ever inserted, so that nobody waits
-- for a total's row, and added up by the workers.
create table llm.total (
    metric text not null,
    label text collate "C" not null,
    number bigint not null,
    constraint total_pkey primary key (metric, label)
);
create table llm.ended (
    status text not null,
    -- `<provider>/<model>` if one of the platform's answered; else `other`, since anybody may ask for any name.
    model text not null,
    input_tokens bigint not null,
    output_tokens bigint not null,
    cost_microusd bigint not null,
    -- Null: nobody measured it.
    overhead_ms integer,
    first_token_ms integer
);

-- What `llm.choose` answers: the targets of a call, or why there is none.
create type llm.chosen as (targets jsonb, alias_id uuid, refused jsonb);

select platform.leaver('llm');

select platform.function_role('llm');
grant select on llm.provider, llm.alias, llm.target, llm.price, llm.payer, llm.budget, llm.call, llm.breaker to gather_llm;

insert into events.emitter (role, prefix) values ('gather_llm', 'llm.');
