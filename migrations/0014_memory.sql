-- Memory: what agents and people have noted, from whom, and whom it may be shown to; until told to forget.

create schema memory;

-- The kinds of scopes. Each is known by functions of the schema that it comes from:
--   level(account uuid, id uuid) returns text   what an account may do there: `read`, `write` (add and change) or `manage`
--                                               (also what others wrote); null: nothing
--   ids(account uuid) returns setof uuid        the scopes in which an account searches if it names none
--   alive(id uuid) returns boolean              whether the scope still exists
create table memory.scope_kind (
    kind text primary key,
    level text not null,
    ids text not null,
    alive text not null,
    -- The kind of topic on which its events are told.
    topic text not null,
    constraint scope_kind_form check (kind ~ '^[a-z]{1,20}$'),
    constraint scope_kind_functions check (
        level ~ '^[a-z_]+\.[a-z_]+$' and ids ~ '^[a-z_]+\.[a-z_]+$' and alive ~ '^[a-z_]+\.[a-z_]+$')
);
insert into memory.scope_kind (kind, level, ids, alive, topic) values
    ('global', 'memory.level_global', 'memory.ids_global', 'memory.alive_global', 'all'),
    ('circle', 'memory.level_circle', 'memory.ids_circle', 'memory.alive_circle', 'team'),
    ('agent', 'memory.level_agent', 'memory.ids_agent', 'memory.alive_agent', 'account'),
    ('conversation', 'memory.level_conversation', 'memory.ids_conversation', 'memory.alive_conversation', 'channel');

-- The kinds of sources. `trust(account uuid, id text) returns text` says how far an account may trust what it learns from
-- one; null: it knows of no such source.
create table memory.source_type (
    type text primary key,
    trust text not null,
    constraint source_type_form check (type ~ '^[a-z-]{1,40}$'),
    constraint source_type_trust check (trust ~ '^[a-z_]+\.[a-z_]+$')
);
insert into memory.source_type (type, trust) values
    ('message', 'memory.trust_of_message'),
    ('memory', 'memory.trust_of_memory'),
    ('call', 'memory.trust_of_call'),
    ('skill-receipt', 'memory.trust_of_receipt'),
    ('document', 'memory.trust_of_document');

-- A scope that something was noted in. Whoever writes there holds its row.
create table memory.space (
    id uuid primary key default platform.uuid_v7(),
    -- What its words begin with in the index of texts.
    number bigint not null generated always as identity,
    scope text not null references memory.scope_kind (kind),
    scope_id uuid,
    -- The same for lookups, where global has a value, too: see `sql/memory/place.sql`.
    place uuid not null generated always as (coalesce(scope_id, '00000000-0000-0000-0000-000000000000')) stored,
    -- The memories that came since the last consolidation.
    fresh integer not null default 0,
    consolidated_at timestamptz,
    created_at timestamptz not null default now(),
    constraint space_key unique (scope, place),
    constraint space_global check ((scope = 'global') = (scope_id is null))
);

create table memory.memory (
    id uuid primary key default platform.uuid_v7(),
    space_id uuid not null references memory.space (id),
    state text not null default 'active',
    -- At most one memory of a scope has it.
    key text collate "C",
    -- The SHA-256 of its present text.
    digest bytea not null,
    version integer not null default 1,
    -- The version whose meaning a consolidation has compared with those of the others.
    compared integer not null default 0,
    -- Who noted it first.
    author uuid not null,
    valid_to timestamptz,
    superseded_by uuid references memory.memory (id) on delete set null,
    uses integer not null default 0,
    last_used_at timestamptz,
    created_at timestamptz not null default clock_timestamp(),
    constraint memory_state_known check (state in ('active', 'archived', 'superseded')),
    constraint memory_superseded check (superseded_by is null or state = 'superseded'),
    constraint memory_key_size check (char_length(key) between 1 and 200)
);
create index memory_space on memory.memory (space_id, id);
create index memory_uncompared on memory.memory (space_id, id) where state = 'active' and compared < version;
create index memory_author on memory.memory (author, id);
create index memory_superseded_by on memory.memory (superseded_by) where superseded_by is not null;
create unique index memory_text on memory.memory (space_id, digest, coalesce(key, '')) where state = 'active';
create unique index memory_key on memory.memory (space_id, key) where state <> 'superseded' and key is not null;

-- The texts of memories. The present one is not replaced.
create table memory.version (
    memory_id uuid not null references memory.memory (id) on delete cascade,
    number integer not null,
    space_id uuid not null,
    content text not null,
    -- The content, folded for the search over everything.
    words text not null,
    -- The words by which it is found, each behind the number of its space: a search reads no others.
    terms text[] not null,
    kind text not null,
    importance real not null,
    trust text not null,
    tags text[] not null,
    valid_from timestamptz not null,
    expires_at timestamptz,
    -- Who wrote this version.
    author uuid not null,
    recorded_at timestamptz not null default clock_timestamp(),
    replaced_at timestamptz,
    -- Whether its passages have their vectors.
    embedded boolean not null default false,
    constraint version_pkey primary key (memory_id, number),
    constraint version_kind_known check (kind in ('fact', 'preference', 'event', 'procedure', 'summary')),
    constraint version_trust_known check (trust in ('own', 'tool', 'stranger')),
    -- What a stranger's text taught is never done.
    constraint version_stranger check (trust <> 'stranger' or kind <> 'procedure'),
    constraint version_importance_range check (importance between 0 and 1),
    constraint version_content_size check (octet_length(content) between 1 and 16384),
    constraint version_tags_count check (cardinality(tags) <= 50)
);
create unique index version_present on memory.version (memory_id) where replaced_at is null;
create index version_terms on memory.version using gin (terms);
create index version_words on memory.version using gin (words trigram.gin_trgm_ops) where replaced_at is null;
create index version_pending on memory.version (author, memory_id) where not embedded and replaced_at is null;
create index version_expires on memory.version (expires_at) where expires_at is not null and replaced_at is null;

-- The meanings of the passages of texts, in a partition for each model.
create table memory.vector (
    model text not null references search.model (name),
    memory_id uuid not null,
    number integer not null,
    passage smallint not null,
    space_id uuid not null,
    -- The SHA-256 of the passage.
    digest bytea not null,
    embedding vector.halfvec not null,
    constraint vector_pkey primary key (model, memory_id, number, passage),
    constraint vector_version foreign key (memory_id, number) references memory.version (memory_id, number) on delete cascade
) partition by list (model);
alter table memory.vector alter column embedding set storage plain;
create table memory.vector_local partition of memory.vector for values in ('local');
alter table memory.vector_local add constraint vector_local_dimensions check (vector.vector_dims(embedding) = 384);
-- A search reads all of a space's and nothing else, from this index alone.
create index vector_space on memory.vector (space_id) include (memory_id, number, embedding);
create index vector_digest on memory.vector (digest);

-- The vectors of passages, for those that come again.
create table memory.embedding_cache (
    model text not null references search.model (name),
    digest bytea not null,
    embedding vector.halfvec not null,
    constraint embedding_cache_pkey primary key (model, digest)
);
alter table memory.embedding_cache alter column embedding set storage plain;

-- What a memory was made from.
create table memory.source (
    memory_id uuid not null references memory.memory (id) on delete cascade,
    type text not null references memory.source_type (type),
    id text collate "C" not null,
    constraint source_pkey primary key (memory_id, type, id),
    constraint source_id_size check (char_length(id) between 1 and 200)
);
create index source_of on memory.source (type, id);

-- The ids of what was forgotten, and where it was, which says who is told so.
create table memory.forgotten (
    id uuid primary key,
    space_id uuid not null references memory.space (id) on delete cascade,
    forgotten_at timestamptz not null default now()
);
create index forgotten_space on memory.forgotten (space_id);

-- Texts that every recall begins with.
create sequence memory.block_version;
create table memory.block (
    space_id uuid not null references memory.space (id),
    label text collate "C" not null,
    content text not null,
    description text not null default '',
    limit_bytes integer not null,
    -- Changed only by those who manage the scope.
    read_only boolean not null default false,
    trust text not null,
    author uuid not null,
    -- From a sequence, so that no deleted block had the version of a later one.
    version bigint not null default nextval('memory.block_version'),
    created_at timestamptz not null default now(),
    changed_at timestamptz not null default now(),
    constraint block_pkey primary key (space_id, label),
    constraint block_label_form check (label ~ '^[a-z0-9][a-z0-9._-]{0,63}$'),
    constraint block_limit_range check (limit_bytes between 1 and 8192),
    constraint block_content_size check (octet_length(content) <= limit_bytes),
    constraint block_description_size check (char_length(description) <= 1000),
    constraint block_trust_known check (trust in ('own', 'tool', 'stranger'))
);

-- What was counted when something was forgotten by a job, so that a repeated attempt states the same.
create table memory.erasure (
    job_id uuid primary key,
    counts jsonb not null,
    ids uuid[] not null,
    erased_at timestamptz not null default now()
);

-- How often was searched, by the mode that answered; and that text had to do. Rows are only inserted, and added up by workers.
create table memory.search_count (
    mode text not null,
    count bigint not null,
    constraint search_count_mode check (mode in ('hybrid', 'semantic', 'text', 'text-alone'))
);

select platform.leaver('memory');

select platform.function_role('memory');
grant usage on schema events to gather_memory;
grant select on memory.space, memory.memory, memory.version, memory.source, memory.forgotten, memory.block to gather_memory;
grant insert on memory.search_count to gather_memory;

select platform.role('memory_consolidate', 'memory');
select platform.role('memory_forget', 'memory');
select platform.role('memory_embed', 'memory');

insert into events.emitter (role, prefix) values
    ('gather_memory', 'memory.'), ('gather_memory_consolidate', 'memory.'), ('gather_memory_forget', 'memory.');
insert into jobs.enqueuer (role, kind) values
    ('gather_memory', 'memory-consolidate'), ('gather_memory', 'memory-forget'),
    ('gather_memory', 'memory-embed'), ('gather_memory_consolidate', 'memory-consolidate'),
    ('gather_memory_consolidate', 'memory-embed'), ('gather_memory_embed', 'memory-embed');
