-- What all accounts have: roles and scopes, states, limits on requests, and the one question that
-- every function asks about its caller.

-- Grows when what an account may do changes: its older access tokens are refused from then on.
alter table identity.account add column generation integer not null default 0;
alter table identity.account add column changed_at timestamptz;
create index account_changed on identity.account (changed_at) where changed_at is not null;
-- Who suspended it: its owner can lift only what the owner imposed.
alter table identity.account add column suspended_by uuid;
alter table identity.account drop constraint account_status_known;
alter table identity.account add constraint account_status_known
    check (status in ('active', 'suspended', 'deleted'));
alter table identity.account drop constraint account_name_free;
alter table identity.account add constraint account_name_free check (name not in (
    'me', 'register', 'challenge', 'authenticate', 'new', 'search', 'current',
    'admin', 'administrator', 'root', 'system', 'gather', 'support', 'security', 'moderator',
    'anonymous', 'everyone', 'here', 'all', 'null', 'undefined')
    and (status = 'deleted' or name not like 'deleted-%')) not valid;
drop index identity.account_never_came;
create index account_never_came on identity.account (created_at) where authenticated_at is null;

-- Where and how a session was opened; a browser's one has a cookie, known by its SHA-256.
alter table identity.session add column method text not null default 'key';
alter table identity.session add column address text;
alter table identity.session add column user_agent text;
alter table identity.session add column cookie_hash bytea;
alter table identity.session add constraint session_method_known
    check (method in ('key', 'password', 'provider'));
create unique index session_cookie on identity.session (cookie_hash) where cookie_hash is not null;

create table identity.role (
    name text primary key,
    scopes text[] not null,
    -- The order in which they are told: from the least to the most.
    rank smallint not null
);
insert into identity.role (rank, name, scopes) values
    (1, 'guest', '{account:manage}'),
    (2, 'user', '{account:manage,agents:own,asset:generate,chat:create,jobs:manage,kb:read,kb:write,skills:call,skills:rate,teams:create}'),
    (3, 'developer', '{account:manage,agents:own,asset:generate,chat:create,jobs:manage,kb:read,kb:write,skills:call,skills:publish,skills:rate,teams:create}'),
    (4, 'admin', '{account:manage,accounts:manage,admin:all,agents:own,asset:generate,audit:read,chat:create,jobs:manage,kb:read,kb:write,skills:call,skills:publish,skills:rate,skills:review,teams:create}');

-- Roles that were given. An account without any has its kind's: agents `developer`, people `user`.
create table identity.account_role (
    account_id uuid not null references identity.account (id) on delete cascade,
    role text not null references identity.role (name),
    granted_by uuid,
    granted_at timestamptz not null default now(),
    primary key (account_id, role)
);
create index account_role_role on identity.account_role (role, account_id);

create function identity.roles_of(account uuid) returns text[]
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select coalesce(
        (select array_agg(r.name order by r.rank) from identity.account_role g
         join identity.role r on r.name = g.role where g.account_id = account),
        (select array[case a.kind when 'agent' then 'developer' else 'user' end]
         from identity.account a where a.id = account))
$$;

-- Separated by spaces, as in a token.
create function identity.scopes_of(account uuid) returns text
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select string_agg(distinct s.scope, ' ' order by s.scope)
    from identity.role r cross join lateral unnest(r.scopes) as s (scope)
    where r.name = any(identity.roles_of(account))
$$;

create function identity.has_admin() returns boolean
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select exists (select from identity.account_role g join identity.account a on a.id = g.account_id
        where g.role = 'admin' and a.status = 'active')
$$;

-- One account as admins see it.
create view identity.account_view as
select a.id, a.kind, a.name, a.status, identity.roles_of(a.id) as roles,
    string_to_array(identity.scopes_of(a.id), ' ') as scopes, a.created_at
from identity.account a;

-- Raises a refusal that a statement's caller knows by its name, as that of a constraint.
create function identity.refuse(name text) returns void
language plpgsql
as $$
begin
    raise exception '%', name using errcode = 'check_violation', constraint = name;
end
$$;

-- The platform must not lose its last admin. Two admins who leave at the same moment take turns.
create function identity.keep_an_admin() returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
    if not identity.has_admin() then
        perform identity.refuse('last_admin');
    end if;
end
$$;

-- Tokens of an account that has just left are believed for a moment; what lasts is not made with them.
create function identity.require_active(account uuid) returns void
language plpgsql
as $$
begin
    perform from identity.account a where a.id = account and a.status = 'active' for update;
    if not found then
        perform identity.refuse('account_active');
    end if;
end
$$;

create function identity.lock_admins() returns void
language sql
as $$
    select pg_advisory_xact_lock(hashtext('identity.admin'))
$$;

-- Gives an account exactly these roles. Null: there is no such account.
create function identity.set_roles(account uuid, roles text[], actor uuid, address text, request_id text)
returns setof identity.account_view
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    before text[];
    was_admin boolean;
begin
    perform identity.lock_admins();
    before := identity.roles_of(account);
    was_admin := 'admin' = any(before);
    update identity.account a set generation = a.generation + 1, changed_at = clock_timestamp()
    where a.id = account and a.status <> 'deleted';
    if not found then
        return;
    end if;
    delete from identity.account_role g where g.account_id = account and g.role <> all(set_roles.roles);
    insert into identity.account_role (account_id, role, granted_by)
    select account, role, actor from unnest(set_roles.roles) as role on conflict do nothing;
    if was_admin then
        perform identity.keep_an_admin();
    end if;
    perform audit.record(actor, 'roles.changed', account::text, true, set_roles.address, set_roles.request_id,
        jsonb_build_object('before', before, 'after', identity.roles_of(account)));
    return query select v.* from identity.account_view v where v.id = account;
end
$$;

-- For the operator: makes an existing account an admin. Its name, or null if there is none.
create function identity.make_admin(name_or_id text) returns text
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    target identity.account;
begin
    perform identity.lock_admins();
    select * into target from identity.account a
    where (a.name = name_or_id or a.id::text = lower(name_or_id)) and a.status = 'active';
    if not found then
        return null;
    end if;
    perform identity.set_roles(target.id,
        array(select distinct unnest(identity.roles_of(target.id) || array['admin'])), null, null, null);
    return target.name;
end
$$;

create function identity.end_sessions(account uuid, but uuid default null) returns bigint
language sql
as $$
    with ended as (
        update identity.session s set revoked_at = clock_timestamp()
        where s.account_id = account and s.revoked_at is null and s.expires_at > now()
        and s.id is distinct from but
        returning 1
    ) select count(*) from ended
$$;

-- Suspends an account, or lets it come back. An owner may do so with an agent, and can't lift what somebody else has
-- imposed. No row: there is no such account, or it is not the actor's to decide.
create function identity.set_status(account uuid, status text, reason text, actor uuid, is_admin boolean,
    address text, request_id text)
returns setof identity.account_view
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
    perform identity.lock_admins();
    update identity.account a
    set status = set_status.status, generation = a.generation + 1, changed_at = clock_timestamp(),
        suspended_by = case when set_status.status = 'suspended' then actor end
    where a.id = account and a.status <> 'deleted'
    and (a.status <> set_status.status
        -- What an admin imposes, the owner can't lift, even if it was the owner's before.
        or (is_admin and set_status.status = 'suspended' and a.suspended_by is distinct from actor))
    and (is_admin or (
        exists (select from identity.agent g where g.account_id = a.id and g.owner_id = actor)
        and (a.status <> 'suspended' or a.suspended_by = actor)));
    if not found then
        -- It is as it shall be, or it is not theirs to decide.
        return query select v.* from identity.account_view v
        where v.id = account and v.status = set_status.status
        and (is_admin or exists (select from identity.agent g where g.account_id = v.id and g.owner_id = actor));
        return;
    end if;
    if set_status.status = 'suspended' then
        perform identity.end_sessions(account);
        if 'admin' = any(identity.roles_of(account)) then
            perform identity.keep_an_admin();
        end if;
    end if;
    perform audit.record(actor, 'account.' || case set_status.status when 'active' then 'reinstated' else 'suspended' end,
        account::text, true, set_status.address, set_status.request_id,
        case when reason is null then '{}' else jsonb_build_object('reason', reason) end);
    return query select v.* from identity.account_view v where v.id = account;
end
$$;

-- What a statement that opens or continues a session says of it, with the active signing key: sealed,
-- unless the caller remembers it.
create type identity.granted as (
    session uuid, account uuid, kind text, scope text, generation integer, kid text, sealed text
);

create function identity.granted_of(session uuid, known_kid text) returns setof identity.granted
language sql stable
as $$
    select s.id, a.id, a.kind, identity.scopes_of(a.id), a.generation, k.kid,
        case when k.kid is distinct from known_kid then encode(k.sealed, 'base64') end
    from identity.session s
    join identity.account a on a.id = s.account_id
    left join identity.signing_key k on k.retired_at is null
    where s.id = granted_of.session
$$;

-- Opens a session of 30 days. One that this browser had before is ended: a session that somebody else
-- planted there can't live on. No row: the account is not active any more, or its password another one.
--   password the one that was checked, if one was
--   client   {address, user_agent, request_id, cookie, former_cookie}; the cookies as hexadecimal SHA-256
create function identity.open_session(account uuid, method text, password bytea, refresh bytea, client jsonb, known_kid text)
returns setof identity.granted
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    opened uuid;
begin
    -- Whoever suspends the account or changes its password waits for us, or we for them.
    perform from identity.account a where a.id = account and a.status = 'active' for no key update;
    if not found or (open_session.password is not null and not identity.has_password(account, open_session.password)) then
        return;
    end if;
    update identity.session s set revoked_at = clock_timestamp()
    where s.cookie_hash = decode(client ->> 'former_cookie', 'hex') and s.revoked_at is null;
    insert into identity.session as s (account_id, expires_at, method, address, user_agent, cookie_hash)
    values (account, now() + interval '30 days', open_session.method, client ->> 'address',
        left(client ->> 'user_agent', 200), decode(client ->> 'cookie', 'hex'))
    returning s.id into opened;
    insert into identity.refresh_token (hash, account_id, session_id, expires_at)
    values (refresh, account, opened, now() + interval '30 days');
    update identity.account a set authenticated_at = now() where a.id = account and a.authenticated_at is null;
    perform audit.record(account, 'session.opened', opened::text, true, client ->> 'address',
        client ->> 'request_id', jsonb_build_object('method', open_session.method));
    return query select g.* from identity.granted_of(opened, known_kid) g;
end
$$;

-- An agent signs in: its challenge works once. No row: refused, and on record.
create function identity.sign_in_agent(key bytea, nonce bytea, expires timestamptz, refresh bytea, client jsonb, known_kid text)
returns setof identity.granted
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    account uuid;
begin
    delete from identity.used_challenge u where u.nonce in (
        select o.nonce from identity.used_challenge o where o.expires_at < now() - interval '1 minute'
        order by o.expires_at limit 5 for update skip locked);
    select a.id into account from identity.agent g join identity.account a on a.id = g.account_id
    where g.public_key = key and a.status = 'active';
    -- Whoever rotates the key waits for us, or we for them, and then it is another one.
    perform from identity.account a where a.id = account for no key update;
    if account is not null and not exists (
        select from identity.agent g where g.account_id = account and g.public_key = key) then
        account := null;
    end if;
    if account is not null then
        insert into identity.used_challenge (nonce, expires_at) values (sign_in_agent.nonce, expires)
        on conflict do nothing;
        if found then
            return query select g.* from identity.open_session(account, 'key', null, refresh, client, known_kid) g;
            return;
        end if;
    end if;
    perform audit.record(null, 'session.refused', coalesce(account::text, encode(key, 'base64')), false,
        client ->> 'address', client ->> 'request_id', '{"method": "key"}');
end
$$;

-- Exchanges a refresh token. A second use means that somebody has a copy: its session ends.
create function identity.refresh(presented bytea, next bytea, client jsonb, known_kid text)
returns setof identity.granted
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    token identity.refresh_token;
    continued identity.session;
begin
    select * into token from identity.refresh_token t where t.hash = presented for update;
    if not found then
        perform audit.record(null, 'session.refused', null, false, client ->> 'address', client ->> 'request_id',
            '{"method": "refresh"}');
        return;
    end if;
    if token.used_at is not null then
        update identity.session s set revoked_at = clock_timestamp() where s.id = token.session_id and s.revoked_at is null;
        if found then
            perform audit.record(token.account_id, 'session.reused', token.session_id::text, false,
                client ->> 'address', client ->> 'request_id', '{}');
        end if;
        return;
    end if;
    update identity.session s set refreshed_at = now(), expires_at = now() + interval '30 days'
    from identity.account a
    where s.id = token.session_id and token.expires_at > now() and s.revoked_at is null
    and s.expires_at > now() and a.id = s.account_id and a.status = 'active'
    returning s.* into continued;
    if not found then
        return;
    end if;
    update identity.refresh_token t set used_at = now() where t.hash = presented;
    insert into identity.refresh_token (hash, account_id, session_id, expires_at)
    values (next, continued.account_id, continued.id, continued.expires_at);
    return query select g.* from identity.granted_of(continued.id, known_kid) g;
end
$$;

-- Retires the signing key, and puts that on record.
create or replace function identity.rotate_signing_key() returns void
language sql
as $$
    update identity.signing_key set retired_at = now(), sealed = null where retired_at is null;
    select audit.record(null, 'signing-key.rotated', null, true, null, null)
$$;

-- --- API keys: SHA-256 at rest, as refresh tokens.
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

create function identity.end_keys(account uuid) returns void
language sql
as $$
    update identity.api_key k set revoked_at = clock_timestamp() where k.account_id = account and k.revoked_at is null
$$;

-- At most 100 keys an account. Whoever was signed out a moment ago makes none: the session, or the account itself where
-- the request was signed, must still be good.
create function identity.create_key(account uuid, session uuid, name text, hash bytea, hint text, scopes text[], expires timestamptz, client jsonb)
returns setof identity.api_key
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    made identity.api_key;
begin
    -- Those who ask at the same moment take turns.
    perform identity.require_active(account);
    if session <> account and not exists (
        select from identity.session s where s.id = create_key.session and s.revoked_at is null) then
        perform identity.refuse('account_active');
    end if;
    if (select count(*) from identity.api_key k where k.account_id = account and k.revoked_at is null
        and (k.expires_at is null or k.expires_at > now())) >= 100 then
        perform identity.refuse('api_key_count');
    end if;
    insert into identity.api_key as k (account_id, name, hash, hint, scopes, expires_at)
    values (account, create_key.name, create_key.hash, create_key.hint, create_key.scopes, expires)
    returning k.* into made;
    perform audit.record(account, 'key.created', made.id::text, true, client ->> 'address', client ->> 'request_id',
        jsonb_build_object('name', made.name, 'scopes', made.scopes));
    return next made;
end
$$;

-- What can be revoked: sessions and API keys, whose tokens or memories may not have expired yet.
create or replace view identity.revocation as
select id as session_id, revoked_at from identity.session where revoked_at > now() - interval '20 minutes'
union all
select id, revoked_at from identity.api_key where revoked_at > now() - interval '20 minutes';

-- --- Limits: how much of a minute's requests each account or address has used. A crash of the database
-- forgets it; nothing waits for the disk.
create unlogged table identity.allowance (
    bucket text primary key,
    used integer not null,
    -- What the last lease got.
    granted integer not null,
    ends_at timestamptz not null
);
create index allowance_ends on identity.allowance (ends_at);

-- How many of the `free` requests one lease takes: a small part, so that little lies idle where it is not
-- used; the last ones, and those of an exact bucket, one by one.
create function identity.share(free integer, exact boolean) returns integer
language sql immutable
as $$
    select case when free <= 0 then 0 when exact then 1 else greatest(1, least(free / 128, 256)) end
$$;

-- Takes a lease on some of a bucket's requests of this minute. All leases together never exceed the quota.
create function identity.lease(bucket text, quota integer, exact boolean) returns jsonb
language plpgsql
as $$
declare
    moment timestamptz := clock_timestamp();
    first integer := identity.share(quota, exact);
    taken identity.allowance;
begin
    insert into identity.allowance as a (bucket, used, granted, ends_at)
    values (lease.bucket, first, first, moment + interval '1 minute')
    on conflict on constraint allowance_pkey do update set
        granted = case when a.ends_at <= moment then first else identity.share(quota - a.used, exact) end,
        used = case when a.ends_at <= moment then first else a.used + identity.share(quota - a.used, exact) end,
        ends_at = case when a.ends_at <= moment then moment + interval '1 minute' else a.ends_at end
    returning a.* into taken;
    return jsonb_build_object('granted', taken.granted, 'free', greatest(quota - taken.used, 0),
        'ends_in_ms', greatest((extract(epoch from taken.ends_at - moment) * 1000)::integer, 0));
end
$$;

-- All that a function asks about a request, in one statement: the keys, what was revoked or changed since
-- the last time, whose credential this is, and a lease on the requests that its account, or else its
-- address, may still make.
--   since       the time of the last answer; null: tell all
--   credential  SHA-256 of an API key or a cookie, or null
--   bucket      whose requests are counted, if the credential names no account; null: nobody's
create function identity.check_in(since timestamptz, credential bytea, bucket text, tier text, quota integer, exact boolean)
returns jsonb
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    known jsonb;
    counted text := check_in.bucket;
    -- Commits are not seen in the order of their times; no statement takes longer than this.
    after timestamptz := check_in.since - interval '30 seconds';
begin
    if credential is not null then
        select jsonb_build_object('id', a.id, 'kind', a.kind, 'generation', a.generation, 'session', c.id,
            'via', c.via, 'expires', extract(epoch from c.expires_at)::bigint, 'used_at', c.last_used_at,
            'scope', case when c.scopes is null then identity.scopes_of(a.id) else (
                select coalesce(string_agg(s, ' '), '')
                from unnest(string_to_array(identity.scopes_of(a.id), ' ')) s where s = any(c.scopes)) end)
        into known
        from (
            select s.id, s.account_id, s.expires_at, 'cookie' as via, null::text[] as scopes, now() as last_used_at
            from identity.session s
            where s.cookie_hash = credential and s.revoked_at is null and s.expires_at > now()
            union all
            select k.id, k.account_id, k.expires_at, 'key', k.scopes, k.last_used_at
            from identity.api_key k
            where k.hash = credential and k.revoked_at is null and (k.expires_at is null or k.expires_at > now())
        ) c
        join identity.account a on a.id = c.account_id and a.status = 'active';
        if known ->> 'via' = 'key' and (known ->> 'used_at' is null
            or (known ->> 'used_at')::timestamptz < now() - interval '1 minute') then
            -- Lost in a crash it would do no harm, so nobody waits for the disk.
            perform set_config('synchronous_commit', 'off', true);
            update identity.api_key k set last_used_at = now() where k.hash = credential;
        end if;
        if known is not null and counted is not null then
            counted := tier || ':account:' || (known ->> 'id');
        end if;
    end if;
    return jsonb_build_object(
        'now', clock_timestamp(),
        'keys', (select coalesce(jsonb_agg(jsonb_build_object('kid', k.kid, 'public_key', k.public_key)), '[]')
            from identity.verification_key k),
        'revoked', (select coalesce(jsonb_agg(r.session_id), '[]') from identity.revocation r
            where after is null or r.revoked_at > after),
        'changed', (select coalesce(jsonb_agg(jsonb_build_array(a.id, a.generation)), '[]') from identity.account a
            where a.changed_at > coalesce(after, now() - interval '20 minutes')),
        'caller', known,
        'lease', case when counted is not null then identity.lease(counted, quota, exact) end);
end
$$;

-- The account behind a request that an agent signed (RFC 9421), whose signature was found good: each nonce
-- works once. Null: no such agent, or the nonce was used.
create function identity.signed_by(key bytea, nonce bytea, expires timestamptz) returns jsonb
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    known jsonb;
begin
    select jsonb_build_object('id', a.id, 'kind', a.kind, 'generation', a.generation, 'session', a.id,
        'via', 'signature', 'expires', null, 'scope', identity.scopes_of(a.id))
    into known
    from identity.agent g join identity.account a on a.id = g.account_id
    where g.public_key = key and a.status = 'active';
    if known is null then
        return null;
    end if;
    insert into identity.used_challenge (nonce, expires_at) values (signed_by.nonce, signed_by.expires)
    on conflict do nothing;
    if not found then
        return null;
    end if;
    update identity.account a set authenticated_at = now()
    where a.id = (known ->> 'id')::uuid and a.authenticated_at is null;
    return known;
end
$$;

-- Puts a refused access on record, a hundred a minute for each account at most.
create function identity.refuse_access(actor uuid, subject text, address text, request_id text, scope text) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
    if (identity.lease('refused:account:' || actor, 100, true) ->> 'granted')::integer > 0 then
        perform audit.record(actor, 'access.refused', refuse_access.subject, false, refuse_access.address,
            refuse_access.request_id, jsonb_build_object('scope', scope));
    end if;
end
$$;

revoke select on identity.verification_key, identity.revocation from gather_identity, gather_jobs, gather_mcp, gather_skills;
grant execute on function identity.check_in(timestamptz, bytea, text, text, integer, boolean),
    identity.signed_by(bytea, bytea, timestamptz), identity.refuse_access(uuid, text, text, text, text)
    to gather_identity, gather_jobs, gather_mcp, gather_skills;
grant usage on schema audit to gather_identity;
grant execute on function audit.record(uuid, text, text, boolean, text, text, jsonb) to gather_identity;

grant select on audit.entry, identity.account_view to gather_identity;
-- The view's functions run as whoever reads it.
grant execute on function identity.roles_of(uuid), identity.scopes_of(uuid) to gather_identity;
grant select, update (revoked_at) on identity.api_key to gather_identity;
grant execute on function
    identity.set_roles(uuid, text[], uuid, text, text),
    identity.set_status(uuid, text, text, uuid, boolean, text, text),
    identity.open_session(uuid, text, bytea, bytea, jsonb, text),
    identity.sign_in_agent(bytea, bytea, timestamptz, bytea, jsonb, text),
    identity.refresh(bytea, bytea, jsonb, text),
    identity.create_key(uuid, uuid, text, bytea, text, text[], timestamptz, jsonb)
    to gather_identity;
-- These happen within the functions above.
revoke insert, update, delete on identity.used_challenge, identity.refresh_token from gather_identity;
revoke select on identity.used_challenge, identity.refresh_token from gather_identity;
revoke insert on identity.session from gather_identity;
revoke update on identity.account from gather_identity;
