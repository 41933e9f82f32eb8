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

select platform.leaver('audit');
