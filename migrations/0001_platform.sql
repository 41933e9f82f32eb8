-- What every schema builds on: defaults that grant nothing, identifiers, roles, health reports.

-- Nobody gets anything by default; each schema grants what its function needs.
revoke create on schema public from public;
alter default privileges revoke execute on functions from public;
-- Temporary tables hold the server's memory and disk.
do $$
begin
    execute format('revoke temporary on database %I from public', current_database());
end
$$;

create schema platform;

-- Words that look alike: every search finds what is misspelt by them.
create schema if not exists trigram;
create extension if not exists pg_trgm with schema trigram;

-- Vectors of texts, which are near each other if the texts mean the same.
create schema if not exists vector;
create extension if not exists vector with schema vector;

-- Which version of each file of `sql` the database has.
create table platform.applied_sql (
    path text primary key,
    sha256 bytea not null
);

-- UUIDv7 (RFC 9562): 48 bits of milliseconds, so that new rows land at the end of the index, then
-- the random bits of a version 4. Bits 52 and 53 make the version 0100 into 0111.
-- It stands here and not in `sql` because the tables' defaults call it.
create function platform.uuid_v7() returns uuid
language sql volatile parallel safe
as $$
    select encode(
        set_bit(set_bit(
            overlay(uuid_send(gen_random_uuid())
                placing substring(int8send(floor(extract(epoch from clock_timestamp()) * 1000)::bigint) from 3)
                from 1 for 6),
            52, 1), 53, 1),
        'hex')::uuid
$$;

-- The next functions are called by migrations, so they stand here too.

-- Makes the role gather_<name>, which sees one schema and has no privilege beside. It can't hold the server: a statement
-- ends before its request's deadline, or sooner, and a transaction that a guest forgot ends soon after.
create function platform.role(name text, schema text, statement_timeout text default '25s') returns void
language plpgsql
as $$
declare
    role text := 'gather_' || name;
begin
    begin
        -- Roles belong to the cluster, not to the database, so another database may have made this one, or be making it
        -- at this moment (then we wait, and it is a unique_violation). Its settings are made with it, in one
        -- transaction: whoever finds the role finds them too.
        execute format('create role %I login nosuperuser nocreatedb nocreaterole noinherit', role);
        execute format('alter role %I set search_path = %I', role, schema);
        execute format('alter role %I set timezone = ''UTC''', role);
        execute format('alter role %I set statement_timeout = %L', role, statement_timeout);
        execute format('alter role %I set idle_in_transaction_session_timeout = ''60s''', role);
        -- Its statements are short. Where the planner overestimates one, compiling it would take far longer than running it.
        execute format('alter role %I set jit = off', role);
    exception when duplicate_object or unique_violation then null;
    end;
    execute format('grant usage on schema %I to %I', schema, role);
end
$$;

-- The roles of functions that serve requests.
create table platform.function (
    role text primary key
);

-- Makes the role of a function that serves requests, with what the guard before its handlers asks. One that `writes`
-- makes identifiers, and keeps the answers to requests with an Idempotency-Key for a day, in a table of its schema.
create function platform.function_role(
    name text, schema text default null, writes boolean default true, statement_timeout text default '25s'
) returns void
language plpgsql
as $$
declare
    role text := 'gather_' || name;
begin
    schema := coalesce(schema, name);
    perform platform.role(name, schema, statement_timeout);
    insert into platform.function (role) values (role);
    execute format('grant usage on schema identity to %I', role);
    if writes then
        execute format('grant usage on schema platform to %I', role);
        execute format('grant execute on function platform.uuid_v7() to %I', role);
        execute format('create table %I.idempotency_key (
            owner text not null,
            key text not null,
            fingerprint text not null,
            status integer,
            headers jsonb,
            body text,
            created_at timestamptz not null default now(),
            primary key (owner, key),
            constraint idempotency_key_size check (char_length(key) between 1 and 255)
        )', schema);
        execute format('create index idempotency_key_created on %I.idempotency_key (created_at)', schema);
        execute format('grant select, insert, update, delete on %I.idempotency_key to %I', schema, role);
    end if;
end
$$;

-- Lets every function that serves requests call this one. SQL files are applied again after a migration, so a new
-- function gets it too.
create function platform.grant_to_functions(what regproc) returns void
language plpgsql
as $$
declare
    role text;
begin
    for role in select f.role from platform.function f loop
        execute format('grant execute on function %s to %I', what, role);
    end loop;
end
$$;

-- Schemas that know something of accounts. Each has two functions:
--   forget_account(account uuid) returns void    when the account leaves: deletes what is personal
--   export_account(account uuid) returns jsonb   what the account is told that is known of it
create table platform.leaver (
    schema text primary key
);

-- Registers a schema that knows something of accounts.
create function platform.leaver(schema text) returns void
language sql
as $$
    insert into platform.leaver (schema) values (leaver.schema)
$$;

-- What native processes (disk, queue, workers, …) say of themselves; an old report counts as unknown.
create table platform.health (
    component text primary key,
    status text not null,
    detail jsonb not null default '{}',
    reported_at timestamptz not null default now(),
    constraint health_status_known check (status in ('healthy', 'degraded', 'unhealthy'))
);

select platform.role('site', 'platform');
grant select on platform.health to gather_site;
