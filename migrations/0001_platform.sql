-- What every schema builds on: defaults that grant nothing, identifiers, health reports.

-- Nobody gets anything by default; each schema grants what its function needs.
revoke create on schema public from public;
alter default privileges revoke execute on functions from public;

create schema platform;

-- UUIDv7 (RFC 9562): 48 bits of milliseconds, so that new rows land at the end of the index, then
-- the random bits of a version 4. Bits 52 and 53 make the version 0100 into 0111.
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

-- What native processes (disk, queue, workers, …) say of themselves; an old report counts as unknown.
create table platform.health (
    component text primary key,
    status text not null,
    detail jsonb not null default '{}',
    reported_at timestamptz not null default now(),
    constraint health_status_known check (status in ('healthy', 'degraded', 'unhealthy'))
);

create function platform.report_health(component text, status text, detail jsonb) returns void
language sql
as $$
    insert into platform.health as h (component, status, detail, reported_at)
    values ($1, $2, coalesce($3, '{}'), now())
    on conflict (component) do update
    set status = excluded.status, detail = excluded.detail, reported_at = excluded.reported_at
$$;

-- Roles belong to the cluster, not to the database, so another database may have made this one, or
-- be making it at this moment (then we wait, and it is a unique_violation). Its settings are made
-- with it, in one transaction: who finds the role finds them too.
do $$
begin
    create role gather_site login nosuperuser nocreatedb nocreaterole noinherit;
    alter role gather_site set search_path = platform;
    alter role gather_site set timezone = 'UTC';
exception when duplicate_object or unique_violation then null;
end
$$;

grant usage on schema platform to gather_site;
grant select on platform.health to gather_site;
