-- Secrets: values that go in and never come out. They are sealed to the way out (`gather egress`), which puts them into
-- requests; nobody else can open them.

create schema vault;

create table vault.secret (
    -- Made by whoever seals the value, since the seal is bound to it.
    id uuid primary key,
    -- The owner: an account or a team; the platform, where both are null.
    account_id uuid references identity.account (id) on delete cascade,
    team_id uuid references identity.team (id) on delete cascade,
    name text collate "C" not null,
    kind text not null,
    note text not null default '',
    -- Where its value may be put: for which origins, methods and beginnings of paths (null: all), and how. Without origins
    -- it is put into nothing.
    origins text[],
    methods text[],
    paths text[],
    place jsonb,
    -- Grows with each change. The number of a value is the version that the secret had when the value came.
    version integer not null default 1,
    state text not null default 'active',
    expires_at timestamptz,
    created_by uuid,
    created_at timestamptz not null default now(),
    changed_at timestamptz not null default now(),
    deleted_at timestamptz,
    -- When its owner was told that it expires soon, and that somebody was refused.
    told_expiring_at timestamptz,
    told_refused_at timestamptz,
    constraint secret_owner_one check (account_id is null or team_id is null),
    -- Others name a secret by its id, so no name has the form of one.
    constraint secret_name_form check (name ~ '^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$'
        and name !~* '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'),
    constraint secret_kind_known check (kind in ('token', 'basic', 'git', 'hmac', 'provider', 'opaque')),
    constraint secret_note_size check (char_length(note) <= 1000),
    constraint secret_use_whole check ((origins is null) = (place is null)
        and (origins is not null or (methods is null and paths is null))),
    constraint secret_origins_count check (cardinality(origins) between 1 and 20),
    constraint secret_version_positive check (version > 0),
    constraint secret_state_known check (state in ('active', 'expired', 'deleted')),
    constraint secret_expired check (state <> 'expired' or expires_at is not null),
    constraint secret_deleted check ((deleted_at is not null) = (state = 'deleted'))
);
create unique index secret_account_name on vault.secret (account_id, name)
    where account_id is not null and state <> 'deleted';
create unique index secret_team_name on vault.secret (team_id, name) where team_id is not null and state <> 'deleted';
create unique index secret_platform_name on vault.secret (name)
    where account_id is null and team_id is null and state <> 'deleted';
create index secret_expires on vault.secret (expires_at) where state = 'active';

-- The values. One is current; former ones may be used until their time is over, and are erased then.
create table vault.version (
    secret_id uuid not null references vault.secret (id) on delete cascade,
    number integer not null,
    state text not null default 'current',
    sealed bytea,
    -- Until when a former value may be used; when an ended one ended.
    until timestamptz,
    created_by uuid,
    created_at timestamptz not null default now(),
    constraint version_pkey primary key (secret_id, number),
    constraint version_state_known check (state in ('current', 'former', 'ended')),
    constraint version_until check ((until is null) = (state = 'current')),
    constraint version_erased check ((sealed is null) = (state = 'ended'))
);
create unique index version_one_current on vault.version (secret_id) where state = 'current';
create index version_former on vault.version (until) where state = 'former';

-- Who else may have a secret put into requests.
create table vault.secret_grant (
    secret_id uuid not null references vault.secret (id) on delete cascade,
    subject text collate "C" not null,
    until timestamptz,
    -- How often; null: as often as they like.
    calls integer,
    used integer not null default 0,
    granted_by uuid,
    created_at timestamptz not null default now(),
    constraint secret_grant_pkey primary key (secret_id, subject),
    constraint secret_grant_subject_form check (
        subject ~ '^(account|team|claw|skill|pipeline|project):[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'),
    constraint secret_grant_calls check (calls > 0 and used between 0 and calls or calls is null)
);
create index secret_grant_subject on vault.secret_grant (subject, secret_id);

-- Where the function of another schema may send a secret by itself, such as a provider's key to its provider.
create table vault.binding (
    secret_id uuid not null references vault.secret (id) on delete cascade,
    -- The role of the function, without its prefix, which is its component's name.
    component text not null,
    origin text not null,
    header text not null,
    -- With `{}` for the value.
    format text not null,
    created_at timestamptz not null default now(),
    constraint binding_pkey primary key (secret_id, component, origin, header),
    constraint binding_format check (format like '%{}%')
);

-- What became of each use, granted or refused. Nothing here is changed, but that the status comes after the request.
create table vault.use (
    id uuid primary key default platform.uuid_v7(),
    secret_id uuid not null references vault.secret (id) on delete cascade,
    at timestamptz not null default now(),
    -- Who asked; null: the platform itself.
    account_id uuid,
    component text not null,
    -- By whose right: the owner, or the subject of a grant.
    subject text,
    origin text not null,
    method text not null,
    path text not null,
    version integer,
    status integer,
    refused text,
    constraint use_refused_known check (refused in ('secret-not-granted', 'origin-refused', 'secret-expired')),
    constraint use_status check (status is null or refused is null),
    constraint use_path_size check (char_length(path) <= 2000)
);
create index use_secret on vault.use (secret_id, id);
create index use_account on vault.use (account_id, id);

select platform.leaver('vault');

select platform.function_role('vault');
grant select on vault.secret, vault.secret_grant, vault.use to gather_vault;
grant select (secret_id, number, state, until, created_by, created_at) on vault.version to gather_vault;

-- The way out: takes sealed values, one use at a time.
select platform.role('egress', 'vault');
grant usage on schema platform, llm to gather_egress;
grant select, insert, update on platform.health to gather_egress;

insert into events.topic_kind (kind, reader) values ('team', 'identity.may_read_team');
insert into events.emitter (role, prefix) values ('gather_vault', 'secret.'), ('gather_egress', 'secret.');
