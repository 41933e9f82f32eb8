-- Skills: components of strangers that every agent calls as tools. Published in versions, reviewed,
-- attested, rated, ranked.

create schema skills;

-- The components themselves, once for each content. The bytes are elsewhere where an object store is.
create table skills.component (
    digest text primary key,
    size_bytes bigint not null,
    bytes bytea,
    created_at timestamptz not null default now(),
    constraint component_digest_form check (digest ~ '^sha256:[0-9a-f]{64}$')
);
-- They are compressed already, as far as they can be.
alter table skills.component alter column bytes set storage external;
create index component_created on skills.component (created_at);

create table skills.skill (
    id uuid primary key default platform.uuid_v7(),
    name text collate "C" not null,
    -- A name belongs to its first publisher, who may hand it over.
    owner_id uuid not null references identity.account (id),
    created_at timestamptz not null default now(),
    -- The version that callers get who name none: the highest approved one. Null: none is approved.
    latest_id uuid,
    -- What lists and the search show, of that version.
    description text not null default '',
    tags text[] not null default '{}',
    updated_at timestamptz not null default now(),
    document tsvector not null default '',
    words text not null default '',
    -- By the ranking job: the formula stands at skills.rank_all.
    rank double precision not null default 0,
    uses_30d bigint not null default 0,
    users_30d bigint not null default 0,
    rating double precision,
    ratings bigint not null default 0,
    constraint skill_name_key unique (name),
    -- No double underscore and no dot: MCP tools are called <skill>__<tool>.
    constraint skill_name_form check (name ~ '^[a-z0-9]+(-[a-z0-9]+)*$' and char_length(name) between 2 and 60)
);
create index skill_owner on skills.skill (owner_id, id);
create index skill_rank on skills.skill (rank, id) where latest_id is not null;
create index skill_new on skills.skill (id) where latest_id is not null;
create index skill_used on skills.skill (uses_30d, id) where latest_id is not null;
create index skill_document on skills.skill using gin (document);
create index skill_words on skills.skill using gin (words trigram.gin_trgm_ops);
create index skill_tags on skills.skill using gin (tags);

create table skills.version (
    id uuid primary key default platform.uuid_v7(),
    skill_id uuid not null references skills.skill (id),
    version text collate "C" not null,
    -- Sorts byte by byte as SemVer 2.0.0, section 11, orders versions.
    precedence text collate "C" not null,
    is_prerelease boolean not null,
    digest text not null references skills.component (digest),
    -- As it was published: description, license, tags, readme, tools, permissions, limits, examples.
    manifest jsonb not null,
    -- [{name, description, input_schema, output_schema}], from the component's types.
    tools jsonb not null,
    -- What the component is made of: imports, exports, size, producers, ….
    facts jsonb not null,
    status text not null default 'in_review',
    -- A person has to decide.
    held boolean not null default false,
    published_by uuid not null references identity.account (id),
    job_id uuid,
    -- What the review found, and why it decided as it did.
    review jsonb,
    -- 0 to 1, of the review.
    quality double precision,
    created_at timestamptz not null default now(),
    decided_at timestamptz,
    decided_by uuid references identity.account (id),
    yanked_at timestamptz,
    constraint version_key unique (skill_id, version),
    constraint version_status_known check (status in ('in_review', 'approved', 'rejected', 'yanked')),
    constraint version_held check (not held or status = 'in_review'),
    constraint version_quality check (quality between 0 and 1)
);
create index version_order on skills.version (skill_id, precedence);
create index version_held on skills.version (id) where held;
create index version_digest on skills.version (digest);
-- For the deletion of accounts, as others below.
create index version_published on skills.version (published_by);
create index version_decided on skills.version (decided_by) where decided_by is not null;
alter table skills.skill add constraint skill_latest foreign key (latest_id) references skills.version (id);

-- Signed statements about a version: DSSE envelopes.
create table skills.attestation (
    id uuid primary key default platform.uuid_v7(),
    version_id uuid not null references skills.version (id),
    envelope jsonb not null,
    created_at timestamptz not null default now()
);
create index attestation_version on skills.attestation (version_id, id);

-- The examples of a version whose calls may have reached an origin, by their place in the manifest. A review makes each
-- of them once, however often it is tried: what the call answered is kept for the next attempt.
create table skills.sent_example (
    version_id uuid not null references skills.version (id),
    number integer not null,
    -- Null: it is under way, or nobody will ever know.
    outcome jsonb,
    begun_at timestamptz not null default now(),
    primary key (version_id, number),
    constraint sent_example_number check (number >= 0)
);

-- What accounts think of a skill; one each.
create table skills.rating (
    skill_id uuid not null references skills.skill (id),
    account_id uuid not null references identity.account (id) on delete cascade,
    rating smallint not null,
    text text not null default '',
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    primary key (skill_id, account_id),
    constraint rating_range check (rating between 1 and 5),
    constraint rating_text_size check (char_length(text) <= 4000)
);
create index rating_new on skills.rating (skill_id, updated_at, account_id);
create index rating_account on skills.rating (account_id);

-- Who called what, by day.
create table skills.usage (
    skill_id uuid not null references skills.skill (id),
    account_id uuid not null references identity.account (id) on delete cascade,
    day date not null,
    calls bigint not null default 0,
    failures bigint not null default 0,
    primary key (skill_id, account_id, day)
);
create index usage_day on skills.usage (day);
create index usage_account on skills.usage (account_id, day);

-- What skills keep: a namespace each, within the quota that was granted.
create table skills.kv_total (
    skill_id uuid primary key references skills.skill (id),
    bytes bigint not null default 0
);
create table skills.kv (
    skill_id uuid not null references skills.skill (id),
    bucket text collate "C" not null,
    key text collate "C" not null,
    value bytea not null,
    primary key (skill_id, bucket, key),
    constraint kv_key_size check (octet_length(key) between 1 and 1024)
);

select platform.leaver('skills');

-- Profiles show what an account has published.
grant usage on schema skills to gather_accounts;

select platform.function_role('skills');
grant usage on schema jobs to gather_skills;
grant select, insert, update on skills.skill, skills.version, skills.rating to gather_skills;
grant delete on skills.rating to gather_skills;
grant select on skills.attestation to gather_skills;
grant select (digest, size_bytes, created_at) on skills.component to gather_skills;
insert into jobs.enqueuer (role, kind) values ('gather_skills', 'skill-review');

select platform.function_role('mcp', 'skills', writes => false);

-- The sandbox runs strangers' code, so it sees nothing of identity but who called.
select platform.role('sandbox', 'skills');
grant usage on schema platform, identity to gather_sandbox;
grant select, insert, update (created_at) on skills.component to gather_sandbox;
grant select on skills.kv to gather_sandbox;
grant select, insert on identity.attestation_key to gather_sandbox;
grant select, insert, update on platform.health to gather_sandbox;

select platform.role('skill_review', 'skills');
select platform.role('skill_rank', 'skills');
