-- The audit trail: who did what from where, and whether it was allowed. Entries are added, never
-- changed; each is chained to the one before it by a hash, so that a change or a gap shows.

create schema audit;

-- Sixteen chains, so that those who write at the same moment do not wait for each other's commits.
create table audit.chain (
    id smallint primary key,
    length bigint not null default 0,
    -- Of the last entry; zeroes before the first.
    hash bytea not null default decode(repeat('00', 32), 'hex')
);
insert into audit.chain (id) select n from generate_series(0, 15) n;

create table audit.entry (
    id uuid not null default platform.uuid_v7(),
    at timestamptz not null default clock_timestamp(),
    -- Who: an account; null: somebody unknown, or the operator.
    actor_id uuid,
    -- What: `session.opened`, `key.created`, …
    action text not null,
    -- To whom or what: an id or a name.
    subject text,
    allowed boolean not null,
    -- From where.
    address text,
    request_id text,
    detail jsonb not null default '{}',
    chain smallint not null,
    position bigint not null,
    hash bytea not null,
    primary key (at, id),
    constraint entry_action_form check (action ~ '^[a-z]+([.-][a-z]+)*$')
) partition by range (at);
create index entry_actor on audit.entry (actor_id, at, id);
create index entry_action on audit.entry (action, at, id);
create index entry_subject on audit.entry (subject, at, id);
create index entry_chain on audit.entry (chain, position);
create index entry_refused on audit.entry (at, id) where not allowed;
-- For a clock that jumped.
create table audit.entry_default partition of audit.entry default;

-- The hash of an entry after the one with the hash `previous`: SHA-256 over it and over all that the
-- entry says, as JSON with its keys in PostgreSQL's order and the time in microseconds.
create function audit.digest(previous bytea, entry audit.entry) returns bytea
language sql immutable
as $$
    select sha256(previous || convert_to(jsonb_build_object(
        'id', entry.id, 'at', (extract(epoch from entry.at) * 1000000)::bigint,
        'actor', entry.actor_id, 'action', entry.action, 'subject', entry.subject,
        'allowed', entry.allowed, 'address', entry.address, 'request', entry.request_id,
        'detail', entry.detail, 'chain', entry.chain, 'position', entry.position)::text, 'UTF8'))
$$;

-- Adds an entry, in the transaction of what it tells of.
create function audit.record(actor uuid, action text, subject text, allowed boolean,
    address text, request_id text, detail jsonb default '{}') returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    head audit.chain;
    entry audit.entry;
    any_chain smallint;
begin
    -- The chain that this transaction holds already, or any that nobody else holds at this moment.
    select * into head from audit.chain c
    where c.id = nullif(current_setting('audit.chain', true), '')::smallint for update;
    if not found then
        select * into head from audit.chain c order by random() limit 1 for update skip locked;
    end if;
    if not found then
        any_chain := floor(random() * 16);
        select * into head from audit.chain c where c.id = any_chain for update;
    end if;
    perform set_config('audit.chain', head.id::text, true);
    entry := (platform.uuid_v7(), clock_timestamp(), record.actor, record.action, left(record.subject, 200),
        record.allowed, left(record.address, 64), left(record.request_id, 128),
        coalesce(record.detail, '{}'), head.id, head.length + 1, null);
    entry.hash := audit.digest(head.hash, entry);
    insert into audit.entry values (entry.*);
    update audit.chain c set length = entry.position, hash = entry.hash where c.id = head.id;
end
$$;

-- What is wrong with the chains; no rows: nothing.
create function audit.verify() returns table (chain smallint, "position" bigint, problem text)
language sql stable
as $$
    with linked as (
        select e as entry, e.chain, e.position, e.hash,
            lag(e.hash, 1, decode(repeat('00', 32), 'hex')) over w as previous,
            row_number() over w as expected
        from audit.entry e
        window w as (partition by e.chain order by e.position)
    )
    select l.chain, l.position, case
            when l.position <> l.expected then 'an entry before this one is missing, or was added'
            else 'this entry, or the one before it, was changed'
        end
    from linked l
    where l.position <> l.expected or l.hash <> audit.digest(l.previous, l.entry)
    union all
    select n.id::smallint, coalesce(c.length, 0), 'the last entries are missing, or were changed'
    from generate_series(0, 15) as n (id)
    left join audit.chain c on c.id = n.id
    left join lateral (
        select e.position, e.hash from audit.entry e where e.chain = n.id order by e.position desc limit 1
    ) last on true
    where c.id is null or c.length <> coalesce(last.position, 0)
    or (last.hash is not null and last.hash <> c.hash)
    order by 1, 2
$$;

-- Makes the partitions of this month and the next two. Nothing is dropped.
create function audit.maintain() returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp set lock_timeout = '50ms'
as $$
declare
    month date;
    name text;
begin
    if not pg_try_advisory_xact_lock(hashtext('audit.maintain')) then
        return;
    end if;
    for month in select (date_trunc('month', current_date) + n * interval '1 month')::date
        from generate_series(0, 2) n
    loop
        name := 'entry_' || to_char(month, 'YYYYMM');
        if to_regclass('audit.' || name) is null then
            begin
                execute format('create table audit.%I partition of audit.entry for values from (%L) to (%L)',
                    name, month, (month + interval '1 month')::date);
            exception
                when check_violation then
                    raise notice 'entries of % stay in the default partition', month;
                when lock_not_available then
                    return;
            end;
        end if;
    end loop;
end
$$;
select audit.maintain();
