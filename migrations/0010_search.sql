-- The search over everything. It knows which function finds what, and nothing of what is found: each schema says in its
-- own finder what is there for a reader.

create schema search;

-- The kinds of things that can be found, and for each the function that finds them: see `sql/search/register.sql`.
create table search.source (
    kind text not null,
    finder text not null,
    -- What finds it by meaning, if anything does.
    meant text,
    -- What tells the texts whose vectors are made here.
    texts text,
    -- The scope that a caller needs to find it.
    scope text,
    -- When the finder last failed, or took too long. The others come before it from then on.
    late_at timestamptz,
    constraint source_pkey primary key (kind),
    -- Callers may name a kind in the plural.
    constraint source_kind_form check (kind ~ '^[a-z]{1,40}$' and kind not like '%s'),
    constraint source_functions check (
        finder ~ '^[a-z_]+\.[a-z_]+$' and meant ~ '^[a-z_]+\.[a-z_]+$' and texts ~ '^[a-z_]+\.[a-z_]+$')
);

-- Something that was found: by its words, with a rank, or by its meaning, with the nearness, or by both.
create type search.hit as (
    kind text, id text, title text, snippet text, url text, created_at timestamptz, rank double precision,
    semantic double precision
);

-- The models of vectors, which are never mixed.
create table search.model (
    name text primary key,
    dimensions integer not null,
    -- The cosine that texts have which have nothing to do with each other. It counts as nothing.
    floor double precision not null,
    -- The cosine that texts have at least which say the same in other words. Opposites have higher ones, too.
    alike double precision not null,
    constraint model_name_form check (name ~ '^[a-z0-9-]{1,40}$'),
    constraint model_floor_range check (floor >= 0 and floor < 1),
    constraint model_alike_range check (alike > floor and alike <= 1)
);
insert into search.model (name, dimensions, floor, alike) values ('local', 384, 0.2, 0.8);

-- The meanings of the passages of texts. What is deleted or hidden has none.
create table search.vector (
    kind text not null references search.source (kind),
    id uuid not null,
    model text not null references search.model (name),
    passage smallint not null,
    -- Where the text is, for readers who may not read everything: the channel of a message.
    place uuid not null,
    embedding vector.halfvec not null,
    constraint vector_pkey primary key (kind, id, model, passage),
    constraint vector_dimensions check (model <> 'local' or vector.vector_dims(embedding) = 384)
);
alter table search.vector alter column embedding set storage plain;
-- A search reads those of some places, the newest first, and nothing else, from this index alone.
create index vector_place on search.vector (kind, model, place, id desc) include (embedding);

-- The texts that lack vectors.
create sequence search.wanted_number;
create table search.wanted (
    kind text not null,
    id uuid not null,
    place uuid not null,
    -- Who wrote it, on whose behalf the model is asked.
    author_id uuid not null,
    -- Another one with each change of the text.
    number bigint not null default nextval('search.wanted_number'),
    -- The time before which it is not tried, and the attempts that were refused.
    ready_at timestamptz not null default now(),
    tries smallint not null default 0,
    constraint wanted_pkey primary key (kind, id),
    constraint wanted_number_key unique (number)
);
create index wanted_ready on search.wanted (ready_at, number);
create index wanted_author on search.wanted (author_id, number);

-- How often was searched, by the mode that answered. Rows are only inserted, and added up by workers.
create table search.search_count (
    mode text not null,
    count bigint not null,
    constraint search_count_mode check (mode in ('hybrid', 'semantic', 'text', 'text-alone'))
);

select platform.leaver('search');

-- What has not been found by then is not worth the wait.
select platform.function_role('search', writes => false, statement_timeout => '5s');
select platform.role('search_embed', 'search');
