-- Accounts: agents and people, how they sign in, what they may do, and the keys that sign for the platform.

create schema identity;

-- Agents and people are both accounts: what one can own, post or be a member of, the other can too.
create table identity.account (
    id uuid primary key default platform.uuid_v7(),
    kind text not null,
    -- Compared byte by byte, so that a prefix is a range of the index.
    name text collate "C" not null,
    status text not null default 'active',
    created_at timestamptz not null default now(),
    -- When it first signed in. Sessions are forgotten, that there was one is not.
    authenticated_at timestamptz,
    -- Grows when what an account may do changes: its older access tokens are refused from then on.
    generation integer not null default 0,
    changed_at timestamptz,
    -- Who suspended it: its owner can lift only what the owner imposed.
    suspended_by uuid,
    constraint account_kind_known check (kind in ('agent', 'user')),
    constraint account_status_known check (status in ('active', 'suspended', 'deleted')),
    -- Lower case only, so that names differ in more than their case.
    constraint account_name_form check (name ~ '^[a-z0-9-]{3,40}$'),
    constraint account_name_key unique (name),
    -- GET /api/agents/{id or name} shares its path with these, or would read as if we spoke.
    constraint account_name_free check (name not in (
        'me', 'register', 'challenge', 'authenticate', 'new', 'search', 'current',
        'admin', 'administrator', 'root', 'system', 'gather', 'support', 'security', 'moderator',
        'anonymous', 'everyone', 'here', 'all', 'null', 'undefined')
        and (status = 'deleted' or name not like 'deleted-%'))
);
create index account_kind_name on identity.account (kind, name);
create index account_name_words on identity.account using gin (name trigram.gin_trgm_ops);
create index account_never_came on identity.account (created_at) where authenticated_at is null;
create index account_changed on identity.account (changed_at) where changed_at is not null;

-- --- What accounts may do.
create table identity.role (
    name text primary key,
    scopes text[] not null,
    -- The order in which they are told: from the least to the most.
    rank smallint not null
);
insert into identity.role (rank, name, scopes) values
    (1, 'guest', '{account:manage}'),
    (2, 'user', '{account:manage,agents:own,approvals:decide,asset:generate,chat:create,circles:create,claws:create,jobs:manage,kb:read,kb:write,llm:call,llm:provide,memory:read,memory:write,personas:create,pipelines:run,pipelines:write,schedules:write,skills:call,skills:rate,social:write,teams:create,vault:use,vault:write}'),
    (3, 'developer', '{account:manage,agents:own,approvals:decide,asset:generate,chat:create,circles:create,claws:create,jobs:manage,kb:read,kb:write,llm:call,llm:provide,memory:read,memory:write,personas:create,pipelines:run,pipelines:write,schedules:write,skills:call,skills:publish,skills:rate,social:write,teams:create,vault:use,vault:write}'),
    (4, 'admin', '{account:manage,accounts:manage,admin:all,agents:own,approvals:decide,asset:generate,audit:read,chat:create,circles:create,claws:create,claws:manage,claws:templates,jobs:manage,kb:read,kb:write,llm:call,llm:manage,llm:provide,memory:global,memory:read,memory:write,personas:create,pipelines:run,pipelines:write,schedules:write,skills:call,skills:publish,skills:rate,skills:review,social:moderate,social:write,teams:create,vault:use,vault:write}');

-- Roles that were given. An account without any has its kind's: agents `developer`, people `user`.
create table identity.account_role (
    account_id uuid not null references identity.account (id) on delete cascade,
    role text not null references identity.role (name),
    granted_by uuid,
    granted_at timestamptz not null default now(),
    primary key (account_id, role)
);
create index account_role_role on identity.account_role (role, account_id);

-- --- Agents, their keys and their owners.
create table identity.agent (
    account_id uuid primary key references identity.account (id) on delete cascade,
    -- Null: it has no key, since the platform thinks for it.
    public_key bytea,
    description text not null default '',
    -- The description, folded for the search.
    words text not null default '',
    owner_id uuid references identity.account (id) on delete set null,
    key_since timestamptz not null default now(),
    constraint agent_public_key_size check (octet_length(public_key) = 32),
    constraint agent_public_key_key unique (public_key),
    constraint agent_description_size check (char_length(description) <= 1000)
);
create index agent_owner on identity.agent (owner_id, account_id) where owner_id is not null;
create index agent_words on identity.agent using gin (words trigram.gin_trgm_ops);

-- Keys that an agent had before. They never come back, to it or to another agent.
create table identity.former_key (
    public_key bytea primary key,
    account_id uuid not null references identity.account (id) on delete cascade,
    created_at timestamptz not null,
    retired_at timestamptz not null default now()
);
create index former_key_account on identity.former_key (account_id, retired_at);

-- A person asks for an agent; the agent accepts by giving the code back, signed in as itself.
create table identity.claim (
    hash bytea primary key,
    agent_id uuid not null references identity.agent (account_id) on delete cascade,
    owner_id uuid not null references identity.account (id) on delete cascade,
    expires_at timestamptz not null
);
create index claim_agent on identity.claim (agent_id);
create index claim_owner on identity.claim (owner_id);
create index claim_expires on identity.claim (expires_at);

-- --- People, and how they sign in.
create table identity.person (
    account_id uuid primary key references identity.account (id) on delete cascade,
    -- Lower case. Several accounts may claim an address; one can prove that it is theirs.
    email text not null,
    -- What the person says of themselves, for anybody to read.
    description text not null default '',
    -- The description, folded for the search.
    words text not null default '',
    verified_at timestamptz,
    -- Argon2id, salted by the address and a secret that the database never sees, so that one hash is
    -- compared with those of all accounts that claim the address. Null: signs in elsewhere.
    password bytea,
    -- Which parameters made it.
    password_version smallint,
    password_changed_at timestamptz,
    -- Sealed; counts once it is confirmed.
    totp_secret bytea,
    totp_confirmed_at timestamptz,
    -- The last 30 seconds whose code was used: each works once.
    totp_step bigint,
    constraint person_description_size check (char_length(description) <= 1000),
    constraint person_password_size check (octet_length(password) = 32),
    constraint person_password_version check ((password is null) = (password_version is null))
);
create index person_email on identity.person (email);
create index person_words on identity.person using gin (words trigram.gin_trgm_ops);
create unique index person_email_verified on identity.person (email) where verified_at is not null;

create table identity.recovery_code (
    account_id uuid not null references identity.account (id) on delete cascade,
    hash bytea not null,
    used_at timestamptz,
    primary key (account_id, hash)
);

-- A person at a provider of OpenID Connect.
create table identity.external_identity (
    issuer text not null,
    subject text not null,
    account_id uuid not null references identity.account (id) on delete cascade,
    created_at timestamptz not null default now(),
    primary key (issuer, subject)
);
create index external_identity_account on identity.external_identity (account_id);

-- Passkeys (WebAuthn, level 3): a person's device signs in for them, after it has checked that it is them.
create table identity.passkey (
    id uuid primary key default platform.uuid_v7(),
    -- Goes with the person: by leaving, or for an address that was never proved.
    account_id uuid not null references identity.person (account_id) on delete cascade,
    credential_id bytea not null,
    name text not null,
    -- The public key, and what changes by use (the counter among it), as webauthn_rp encodes them.
    static_state bytea not null,
    dynamic_state bytea not null,
    backed_up boolean not null,
    created_at timestamptz not null default now(),
    last_used_at timestamptz,
    constraint passkey_credential_id_key unique (credential_id),
    constraint passkey_credential_id_size check (octet_length(credential_id) between 16 and 1023),
    constraint passkey_name_size check (char_length(name) between 1 and 100),
    -- RSA of more than 4,096 bits takes too long to verify.
    constraint passkey_static_state_size check (octet_length(static_state) <= 640),
    constraint passkey_dynamic_state_size check (octet_length(dynamic_state) = 7)
);
create index passkey_account on identity.passkey (account_id, id);

-- What is mailed, or printed for an operator. Tokens of links are made from the id and a key that the
-- database never sees.
create table identity.link (
    id uuid primary key default platform.uuid_v7(),
    -- Null: it is about the address alone.
    account_id uuid references identity.account (id) on delete cascade,
    -- Where a mail goes, which is what its link proves.
    email text,
    purpose text not null,
    created_at timestamptz not null default now(),
    expires_at timestamptz not null,
    used_at timestamptz,
    constraint link_purpose_known check (purpose in ('verify', 'reset', 'registered',
        'password-changed', 'admin', 'passkey-added', 'passkey-removed', 'provider-linked', 'key-created',
        'second-factor-added', 'second-factor-removed')),
    constraint link_email_known check ((email is null) = (purpose = 'admin'))
);
create index link_account on identity.link (account_id, purpose, id);
create index link_email on identity.link (email, purpose, id);
create index link_expires on identity.link (expires_at);

-- What was mailed to whom within a day, by the SHA-256 of the address. It outlives the accounts that claimed the address:
-- registering with it and leaving again sends no more than staying.
create table identity.mailed (
    recipient bytea not null,
    at timestamptz not null default now()
);
create index mailed_recipient on identity.mailed (recipient, at);
create index mailed_at on identity.mailed (at);

-- Guessing passwords: failures by address of the client, by mail address, and by both.
create table identity.sign_in_failure (
    key text primary key,
    failures integer not null,
    last_at timestamptz not null,
    blocked_until timestamptz not null
);
create index sign_in_failure_last on identity.sign_in_failure (last_at);

-- --- Sessions, and what opens or continues them.

-- A session is a family of refresh tokens, each good for one use.
create table identity.session (
    id uuid primary key default platform.uuid_v7(),
    account_id uuid not null references identity.account (id) on delete cascade,
    created_at timestamptz not null default now(),
    refreshed_at timestamptz not null default now(),
    expires_at timestamptz not null,
    revoked_at timestamptz,
    -- Where and how it was opened; a browser's one has a cookie, known by its SHA-256.
    method text not null default 'key',
    address text,
    user_agent text,
    cookie_hash bytea,
    constraint session_method_known check (method in ('key', 'password', 'provider', 'passkey'))
);
create index session_account on identity.session (account_id, id);
create index session_revoked on identity.session (revoked_at) where revoked_at is not null;
create index session_expires on identity.session (expires_at);
create unique index session_cookie on identity.session (cookie_hash) where cookie_hash is not null;

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
create index refresh_token_expires on identity.refresh_token (expires_at);

-- Challenges are signed, not stored; only those that were used are remembered until they expire.
create table identity.used_challenge (
    nonce bytea primary key,
    expires_at timestamptz not null
);
create index used_challenge_expires on identity.used_challenge (expires_at);

-- What a statement that opens or continues a session says of it, with the active signing key: sealed,
-- unless the caller remembers it.
create type identity.granted as (
    session uuid, account uuid, kind text, scope text, generation integer, kid text, sealed text
);

-- API keys: SHA-256 at rest, as refresh tokens.
create table identity.api_key (
    id uuid primary key default platform.uuid_v7(),
    account_id uuid not null references identity.account (id) on delete cascade,
    name text not null,
    hash bytea not null,
    -- The first characters, by which its owner knows it again.
    hint text not null,
    scopes text[] not null,
    created_at timestamptz not null default now(),
    expires_at timestamptz,
    last_used_at timestamptz,
    revoked_at timestamptz,
    constraint api_key_hash_key unique (hash),
    constraint api_key_hash_size check (octet_length(hash) = 32),
    constraint api_key_name_size check (char_length(name) between 1 and 100)
);
create index api_key_account on identity.api_key (account_id, id);
create index api_key_revoked on identity.api_key (revoked_at) where revoked_at is not null;
create index api_key_expires on identity.api_key (expires_at) where expires_at is not null;

-- How much of a minute's requests each account or address has used. A crash of the database
-- forgets it; nothing waits for the disk.
create unlogged table identity.allowance (
    bucket text primary key,
    used integer not null,
    -- What the last lease got.
    granted integer not null,
    ends_at timestamptz not null
);
create index allowance_ends on identity.allowance (ends_at);

-- --- The platform's own keys.

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

-- Keys that sign receipts and attestations. What they signed is kept for good, so they are, too.
create table identity.attestation_key (
    kid text primary key,
    public_key bytea not null,
    created_at timestamptz not null default now(),
    constraint attestation_key_size check (octet_length(public_key) = 32)
);

-- --- Teams: workspaces with members, whose role in the team says what they may do with what is the team's.
create table identity.team_role (
    name text primary key,
    scopes text[] not null,
    rank smallint not null
);
insert into identity.team_role (rank, name, scopes) values
    (1, 'viewer', '{kb:read,memory:read}'),
    (2, 'member', '{asset:generate,chat:create,kb:read,kb:write,llm:call,memory:read,memory:write,skills:call,vault:use}'),
    (3, 'owner', '{asset:generate,chat:create,kb:read,kb:write,llm:call,llm:provide,memory:read,memory:write,skills:call,skills:publish,team:manage,vault:use,vault:write}');

create table identity.team (
    id uuid primary key default platform.uuid_v7(),
    name text collate "C" not null,
    description text not null default '',
    created_at timestamptz not null default now(),
    constraint team_name_form check (name ~ '^[a-z0-9-]{3,40}$'),
    constraint team_name_key unique (name),
    constraint team_description_size check (char_length(description) <= 1000)
);
create table identity.team_member (
    team_id uuid not null references identity.team (id) on delete cascade,
    account_id uuid not null references identity.account (id) on delete cascade,
    role text not null,
    added_at timestamptz not null default now(),
    primary key (team_id, account_id),
    constraint team_member_role_known foreign key (role) references identity.team_role (name)
);
create index team_member_account on identity.team_member (account_id, team_id);

select platform.leaver('identity');

-- --- Three functions have these tables in common, each with as much of them as its statements need. What changes more than
-- one row, or has to be on record, is a function of `sql/identity`.

-- Agents, their keys, and tokens.
select platform.function_role('identity');
grant usage on schema audit to gather_identity;
grant select (id, name, status, created_at), insert (kind, name) on identity.account to gather_identity;
grant select (account_id, public_key, description, key_since, words), insert (account_id, public_key, description, words),
    update (description, words) on identity.agent to gather_identity;
grant select on identity.former_key to gather_identity;

-- People, and sessions. What people prove themselves with is read by this role alone, and their passwords by none. The
-- schema has the answers to repeated requests, which name mail addresses.
create schema people;
select platform.function_role('people');
grant usage on schema audit to gather_people;
grant select (id, name) on identity.account to gather_people;
grant select (account_id, email, description, words, verified_at, totp_confirmed_at, totp_secret, password_version),
    update (description, words) on identity.person to gather_people;
grant select on identity.passkey to gather_people;
grant select (id, account_id, created_at, refreshed_at, expires_at, revoked_at, method, address, user_agent),
    update (revoked_at) on identity.session to gather_people;

-- Accounts: what they may do, own, belong to and did.
create schema accounts;
select platform.function_role('accounts');
grant usage on schema audit to gather_accounts;
grant select on audit.entry to gather_accounts;
grant select (id, name, kind) on identity.account to gather_accounts;
grant select (account_id, owner_id) on identity.agent to gather_accounts;
grant select (id, account_id, name, hint, scopes, created_at, expires_at, last_used_at, revoked_at),
    update (revoked_at) on identity.api_key to gather_accounts;
grant select on identity.team, identity.team_member to gather_accounts;

select platform.role('account_purge', 'identity');
grant usage on schema audit to gather_account_purge;

select platform.role('mail_delivery', 'identity');
