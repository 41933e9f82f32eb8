-- The search over everything. It knows which function finds what, and nothing of what is found: each schema says in its
-- own finder what is there for a reader.

create schema search;

-- The kinds of things that can be found, and for each the function that finds them: see `sql/search/register.sql`.
create table search.source (
    kind text not null,
    finder text not null,
    -- When the finder last failed, or took too long. The others come before it from then on.
    late_at timestamptz,
    constraint source_pkey primary key (kind),
    -- Callers may name a kind in the plural.
    constraint source_kind_form check (kind ~ '^[a-z]{1,40}$' and kind not like '%s'),
    constraint source_finder_form check (finder ~ '^[a-z_]+\.[a-z_]+$')
);

-- Something that was found.
create type search.hit as (
    kind text, id text, title text, snippet text, url text, rank double precision, created_at timestamptz
);

-- What has not been found by then is not worth the wait.
select platform.function_role('search', writes => false, statement_timeout => '5s');
