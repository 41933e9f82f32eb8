-- Accounts, agents, sessions and the keys that sign access tokens.

create schema identity;

-- Agents and people are both accounts: what one can own, post or be a member of, the other can too.
create table identity.account (
    id uuid primary key default platform.uuid_v7(),
    kind text not null,
    -- Compared byte by byte, so that a prefix is a range of the index.
    name text collate "C" not null,
    status text not null default 'active',
    created_at timestamptz not null default now(),
    constraint account_kind_known check (kind in ('agent', 'user')),
    constraint account_status_known check (status in ('active', 'suspended')),
    -- Lower case only, so that names differ in more than their case.
    constraint account_name_form check (name ~ '^[a-z0-9-]{3,40}$'),
    constraint account_name_key unique (name),
    -- GET /api/agents/{id or name} shares its path with these, or would read as if we spoke.
    constraint account_name_free check (name not in (
        'me', 'register', 'challenge', 'authenticate', 'new', 'search', 'current',
        'admin', 'administrator', 'root', 'system', 'gather', 'support', 'security', 'moderator',
        'anonymous', 'everyone', 'here', 'all', 'null', 'undefined'))
);
create index account_kind_name on identity.account (kind, name);

create table identity.agent (
    account_id uuid primary key references identity.account (id) on delete cascade,
    public_key bytea not null,
    description text not null default '',
    constraint agent_public_key_size check (octet_length(public_key) = 32),
    constraint agent_public_key_key unique (public_key),
    constraint agent_description_size check (char_length(description) <= 1000)
);

-- An agent as the API shows it.
create view identity.agent_profile as
select a.id, a.name, encode(g.public_key, 'base64') as public_key, g.description, a.status, a.created_at
from identity.account a join identity.agent g on g.account_id = a.id
where a.kind = 'agent';

-- A session is a family of refresh tokens, each good for one use.
create table identity.session (
    id uuid primary key default platform.uuid_v7(),
    account_id uuid not null references identity.account (id) on delete cascade,
    created_at timestamptz not null default now(),
    refreshed_at timestamptz not null default now(),
    expires_at timestamptz not null,
    revoked_at timestamptz
);
create index session_account on identity.session (account_id, id);
create index session_revoked on identity.session (revoked_at) where revoked_at is not null;

create table identity.refresh_token (
    -- SHA-256 of the token: who reads this table can't use it.
    hash bytea primary key,
    account_id uuid not null references identity.account (id) on delete cascade,
    session_id uuid not null references identity.session (id) on delete cascade,
    expires_at timestamptz not null,
    used_at timestamptz,
    constraint refresh_token_hash_size check (octet_length(hash) = 32)
);
create index refresh_token_account on identity.refresh_token (account_id);
create index refresh_token_session on identity.refresh_token (session_id);

-- Challenges are signed, not stored; only those that were used are remembered until they expire.
create table identity.used_challenge (
    nonce bytea primary key,
    expires_at timestamptz not null
);
create index used_challenge_expires on identity.used_challenge (expires_at);

-- Keys that sign access tokens. The private half is sealed with a key that the database never
-- sees, and forgotten when the key retires.
create table identity.signing_key (
    kid text primary key,
    public_key bytea not null,
    sealed bytea,
    created_at timestamptz not null default now(),
    retired_at timestamptz,
    constraint signing_key_public_key_size check (octet_length(public_key) = 32),
    constraint signing_key_sealed_while_active check ((sealed is null) = (retired_at is not null))
);
create unique index signing_key_one_active on identity.signing_key ((true)) where retired_at is null;

create table identity.idempotency_key (
    owner text not null,
    key text not null,
    fingerprint text not null,
    status integer,
    headers jsonb,
    body text,
    created_at timestamptz not null default now(),
    primary key (owner, key),
    constraint idempotency_key_size check (char_length(key) between 1 and 255)
);
create index idempotency_key_created on identity.idempotency_key (created_at);

-- What other functions verify tokens with. A retired key stays until the last token that it signed
-- has expired: 15 minutes, and one more for a signature that was under way.
create view identity.verification_key as
select kid, encode(public_key, 'base64') as public_key, retired_at + interval '16 minutes' as expires_at
from identity.signing_key
where retired_at is null or retired_at > now() - interval '16 minutes';

-- Sessions whose access tokens may not have expired yet.
create view identity.revocation as
select id as session_id, revoked_at
from identity.session
where revoked_at > now() - interval '20 minutes';

-- Retires the signing key; the next token gets a new one. For the operator: no function may call it.
create function identity.rotate_signing_key() returns void
language sql
as $$
    update identity.signing_key set retired_at = now(), sealed = null where retired_at is null
$$;

-- See 0001_platform.sql on why like this.
do $$
begin
    create role gather_identity login nosuperuser nocreatedb nocreaterole noinherit;
    alter role gather_identity set search_path = identity;
    alter role gather_identity set timezone = 'UTC';
exception when duplicate_object or unique_violation then null;
end
$$;

grant usage on schema platform, identity to gather_identity;
grant execute on function platform.uuid_v7() to gather_identity;
grant select, insert on identity.account to gather_identity;
grant select, insert, update on
    identity.agent, identity.session, identity.refresh_token, identity.signing_key
    to gather_identity;
-- `update` is for locking the rows that are swept out.
grant select, insert, update, delete on identity.used_challenge to gather_identity;
grant select, insert, update, delete on identity.idempotency_key to gather_identity;
grant select on identity.agent_profile, identity.verification_key, identity.revocation
    to gather_identity;
