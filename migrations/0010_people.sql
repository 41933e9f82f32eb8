-- People: passwords, mail, second factors; who owns which agent; teams; leaving.

create table identity.person (
    account_id uuid primary key references identity.account (id) on delete cascade,
    -- Lower case. Several accounts may claim an address; one can prove that it is theirs.
    email text not null,
    verified_at timestamptz,
    -- Argon2id, salted by the address and a secret that the database never sees, so that one hash is
    -- compared with those of all accounts that claim the address. Null: signs in elsewhere.
    password bytea,
    -- Which parameters made it.
    password_version smallint,
    password_changed_at timestamptz,
    -- Sealed; counts once it is confirmed.
    totp_secret bytea,
    totp_confirmed_at timestamptz,
    -- The last 30 seconds whose code was used: each works once.
    totp_step bigint,
    constraint person_password_size check (octet_length(password) = 32),
    constraint person_password_version check ((password is null) = (password_version is null))
);
create index person_email on identity.person (email);
create unique index person_email_verified on identity.person (email) where verified_at is not null;

create table identity.recovery_code (
    account_id uuid not null references identity.account (id) on delete cascade,
    hash bytea not null,
    used_at timestamptz,
    primary key (account_id, hash)
);

-- A person at a provider of OpenID Connect.
create table identity.external_identity (
    issuer text not null,
    subject text not null,
    account_id uuid not null references identity.account (id) on delete cascade,
    created_at timestamptz not null default now(),
    primary key (issuer, subject)
);
create index external_identity_account on identity.external_identity (account_id);

-- What is mailed, or printed for an operator. Tokens of links are made from the id and a key that the
-- database never sees.
create table identity.link (
    id uuid primary key default platform.uuid_v7(),
    account_id uuid references identity.account (id) on delete cascade,
    purpose text not null,
    created_at timestamptz not null default now(),
    expires_at timestamptz not null,
    used_at timestamptz,
    constraint link_purpose_known check (purpose in ('verify', 'reset', 'registered', 'password-changed', 'admin'))
);
create index link_account on identity.link (account_id, purpose, id);
create index link_expires on identity.link (expires_at);

-- Whether an account has this password.
create function identity.has_password(account uuid, password bytea) returns boolean
language sql stable
as $$
    select exists (select from identity.person p where p.account_id = account and p.password = has_password.password)
$$;

-- Whose address it is: the account that has proved it, else the one that claimed it first. Null: nobody's.
create function identity.holder_of(email text) returns uuid
language sql stable
as $$
    select a.id from identity.person p join identity.account a on a.id = p.account_id and a.status = 'active'
    where p.email = holder_of.email order by p.verified_at is null, a.id limit 1
$$;

-- Has a mail sent to a person, unless they got one of this kind within the last minute, or their address five within
-- the last hour: nobody's mailbox is flooded from here.
create function identity.mail(account uuid, purpose text, valid interval) returns void
language plpgsql
as $$
declare
    link uuid := platform.uuid_v7();
    recipient text := (select p.email from identity.person p where p.account_id = account);
begin
    -- Those who ask for the same address at the same moment take turns.
    perform pg_advisory_xact_lock(hashtextextended('mail ' || recipient, 1));
    if not exists (select from identity.link l
            where l.account_id = account and l.purpose = mail.purpose and l.created_at > now() - interval '1 minute')
        and (select count(*) from identity.person p join identity.link l on l.account_id = p.account_id
            where p.email = recipient and l.purpose = mail.purpose and l.created_at > now() - interval '1 hour') < 5
    then
        insert into identity.link (id, account_id, purpose, expires_at)
        values (link, account, mail.purpose, now() + valid);
    end if;
    -- Also where there is no mail, and for an address that nobody has: the time tells nothing.
    perform jobs.enqueue('mail-delivery', jsonb_build_object('link', link));
end
$$;

-- What a mail says. Null: there is nothing to send any more.
create function identity.outgoing_mail(link uuid) returns jsonb
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select jsonb_build_object('to', p.email, 'name', a.name, 'purpose', l.purpose, 'expires_at', l.expires_at)
    from identity.link l
    join identity.account a on a.id = l.account_id and a.status <> 'deleted'
    join identity.person p on p.account_id = a.id
    where l.id = outgoing_mail.link and l.used_at is null and l.expires_at > now()
$$;

-- --- Guessing passwords: failures by address of the client, by mail address, and by both.
create table identity.sign_in_failure (
    key text primary key,
    failures integer not null,
    last_at timestamptz not null,
    blocked_until timestamptz not null
);
create index sign_in_failure_last on identity.sign_in_failure (last_at);

create function identity.failure_keys(email text, address text) returns table (key text, free integer, longest interval)
language sql immutable
as $$
    values ('both:' || email || ' ' || address, 5, interval '15 minutes'),
        -- Many may share an address, and everybody that of this machine, where a proxy may stand.
        (case when address not in ('127.0.0.1', '::1') then 'address:' || address end, 50, interval '1 minute'),
        -- A stranger who fails all the time delays others by a minute at most, and never where the account
        -- has signed in before.
        ('email:' || email, 20, interval '1 minute')
$$;

-- For how many seconds a password of this mail address is not even looked at; 0: it is.
create function identity.sign_in_delay(email text, address text) returns integer
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select coalesce(ceil(extract(epoch from max(f.blocked_until) - now())), 0)::integer
    from identity.failure_keys(email, address) k
    join identity.sign_in_failure f on f.key = k.key and f.blocked_until > now()
    where not (k.key like 'email:%' and exists (
        select from identity.session s where s.account_id = identity.holder_of(sign_in_delay.email)
        and s.address = sign_in_delay.address))
$$;

-- One more failure: beyond the free ones the delay doubles each time. Half an hour without one forgets them.
create function identity.note_failure(email text, address text) returns void
language sql
as $$
    insert into identity.sign_in_failure as f (key, failures, last_at, blocked_until)
    select k.key, 1, now(), now() from identity.failure_keys(email, address) k where k.key is not null order by k.key
    on conflict on constraint sign_in_failure_pkey do update set
        failures = case when f.last_at < now() - interval '30 minutes' then 1 else f.failures + 1 end,
        last_at = now(),
        blocked_until = now() + (
            select case
                when f.last_at < now() - interval '30 minutes' or f.failures + 1 < k.free then interval '0'
                else least(k.longest, interval '1 second' * power(2, least(f.failures + 1 - k.free, 20)))
            end
            from identity.failure_keys(note_failure.email, note_failure.address) k where k.key = f.key)
$$;

-- Forgets what was failed from here, once the holder of the mail address came in; where the address was proved, all of
-- it. Somebody else's success with the same address forgives nothing.
create function identity.forgive(account uuid, email text, address text, proved boolean) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
    if account is distinct from identity.holder_of(forgive.email) then
        return;
    end if;
    delete from identity.sign_in_failure f
    where f.key = 'both:' || forgive.email || ' ' || forgive.address
    or (proved and f.key = 'email:' || forgive.email);
    update identity.sign_in_failure f set failures = f.failures / 2 where f.key = 'address:' || forgive.address;
end
$$;

-- The account with this mail address and password; no row: refused, and on record.
--   only   if it is this one
create function identity.check_password(email text, password bytea, only_account uuid, client jsonb)
returns table (account uuid, totp text)
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
    return query
        select a.id, case when p.totp_confirmed_at is not null then encode(p.totp_secret, 'base64') end
        from identity.person p join identity.account a on a.id = p.account_id and a.status = 'active'
        where p.email = check_password.email and p.password = check_password.password
        and (only_account is null or a.id = only_account)
        order by p.verified_at is null, a.id desc limit 1;
    if not found then
        perform identity.refuse_sign_in(check_password.email, client, 'password');
    end if;
end
$$;

create function identity.refuse_sign_in(email text, client jsonb, method text) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
    perform identity.note_failure(refuse_sign_in.email, client ->> 'address');
    perform audit.record(null, 'session.refused',
        identity.holder_of(refuse_sign_in.email)::text, false, client ->> 'address', client ->> 'request_id', jsonb_build_object('method', refuse_sign_in.method));
end
$$;

-- Uses up a code of the second factor: the one of a time step, or a recovery code.
create function identity.use_second_factor(account uuid, step bigint, code bytea) returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
    if step is not null then
        update identity.person p set totp_step = step
        where p.account_id = account and (p.totp_step is null or p.totp_step < step);
    else
        update identity.recovery_code r set used_at = now()
        where r.account_id = account and r.hash = code and r.used_at is null;
    end if;
    return found;
end
$$;

-- --- Registering, and proving the mail address. Whether the address is known is told to nobody but its owner.
create function identity.register_person(email text, name text, password bytea, version smallint, client jsonb)
returns identity.account
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    made identity.account;
    owner uuid;
begin
    insert into identity.account as a (kind, name) values ('user', register_person.name) returning a.* into made;
    insert into identity.person (account_id, email, password, password_version, password_changed_at)
    values (made.id, register_person.email, register_person.password, register_person.version, now());
    select p.account_id into owner from identity.person p
    where p.email = register_person.email and p.verified_at is not null;
    if found then
        perform identity.mail(owner, 'registered', interval '1 day');
    else
        perform identity.mail(made.id, 'verify', interval '1 day');
    end if;
    perform audit.record(made.id, 'account.registered', made.id::text, true, client ->> 'address', client ->> 'request_id');
    return made;
end
$$;

-- The first admin, or another one, by a link that the operator was given. Null: the link is not good.
create function identity.register_admin(link uuid, email text, name text, password bytea, version smallint, client jsonb)
returns uuid
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    made identity.account;
begin
    update identity.link l set used_at = now()
    where l.id = register_admin.link and l.purpose = 'admin' and l.used_at is null and l.expires_at > now();
    if not found then
        return null;
    end if;
    made := identity.register_person(register_admin.email, register_admin.name, register_admin.password,
        register_admin.version, client);
    perform identity.set_roles(made.id, '{admin}', made.id, client ->> 'address', client ->> 'request_id');
    return made.id;
end
$$;

create function identity.verify_again(account uuid) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
    perform from identity.person p where p.account_id = account and p.verified_at is null and p.password is not null
    and not exists (select from identity.person o where o.email = p.email and o.verified_at is not null);
    if found then
        perform identity.mail(account, 'verify', interval '1 day');
    end if;
end
$$;

-- The address that a link is about, which its password's hash is salted with. Null: the link is not good.
create function identity.link_email(link uuid, purpose text) returns text
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select p.email from identity.link l join identity.person p on p.account_id = l.account_id
    where l.id = link_email.link and l.purpose = link_email.purpose and l.used_at is null and l.expires_at > now()
$$;

-- Proves the address of the account that the link was made for. Its password is asked for: somebody else may have
-- registered with the address of whoever reads the mail. False: not that password, or not a good link.
create function identity.verify_email(link uuid, password bytea, client jsonb) returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    account uuid;
begin
    update identity.link l set used_at = now()
    where l.id = verify_email.link and l.purpose = 'verify' and l.used_at is null and l.expires_at > now()
    and identity.has_password(l.account_id, verify_email.password)
    returning l.account_id into account;
    if not found then
        return false;
    end if;
    update identity.person p set verified_at = coalesce(p.verified_at, now()) where p.account_id = account;
    perform audit.record(account, 'email.verified', account::text, true, client ->> 'address', client ->> 'request_id');
    return true;
end
$$;

-- --- Forgotten and changed passwords.
create function identity.forget_password(email text, client jsonb) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    account uuid := identity.holder_of(forget_password.email);
begin
    -- The same work for an address that nobody has.
    perform identity.mail(account, 'reset', interval '30 minutes');
    perform audit.record(null, 'password.forgotten', account::text, true, client ->> 'address', client ->> 'request_id');
end
$$;

-- Sets a password, by a link or, without one, for an account that gave its old one. All other sessions end.
create function identity.set_password(account uuid, link uuid, password bytea, version smallint, but uuid, client jsonb)
returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    target uuid := account;
    changed identity.person;
    first_proof boolean := false;
begin
    if link is not null then
        update identity.link l set used_at = now()
        where l.id = set_password.link and l.purpose = 'reset' and l.used_at is null and l.expires_at > now()
        returning l.account_id into target;
        -- Whatever else was asked for is void too.
        update identity.link l set used_at = now()
        where l.account_id = target and l.purpose = 'reset' and l.used_at is null;
    end if;
    -- Who opens a session at this moment goes before us, and is ended, or comes after us, and is refused.
    perform from identity.account a where a.id = target for update;
    if link is not null then
        -- Whoever had the password, or had registered with somebody else's address, keeps nothing.
        perform identity.end_keys(target);
        select p.verified_at is null into first_proof from identity.person p where p.account_id = target;
        if first_proof then
            perform identity.drop_second_factor(target);
            delete from identity.external_identity e where e.account_id = target;
        end if;
    end if;
    update identity.person p set password = set_password.password, password_version = set_password.version,
        password_changed_at = now(),
        -- Who has the link reads the mail. Another account may have proved the address meanwhile.
        verified_at = case when link is null or exists (select from identity.person o
                where o.email = p.email and o.verified_at is not null and o.account_id <> p.account_id)
            then p.verified_at else coalesce(p.verified_at, now()) end
    where p.account_id = target returning p.* into changed;
    if not found then
        return false;
    end if;
    perform identity.end_sessions(target, but);
    perform identity.forgive(target, changed.email, client ->> 'address', link is not null);
    perform identity.mail(target, 'password-changed', interval '1 day');
    perform audit.record(target, 'password.changed', target::text, true, client ->> 'address', client ->> 'request_id',
        jsonb_build_object('by', case when link is null then 'password' else 'link' end));
    return true;
end
$$;

-- --- The second factor.
create function identity.drop_second_factor(account uuid) returns boolean
language plpgsql
as $$
begin
    delete from identity.recovery_code r where r.account_id = account;
    update identity.person p set totp_secret = null, totp_confirmed_at = null, totp_step = null
    where p.account_id = account and p.totp_secret is not null;
    return found;
end
$$;

create function identity.set_totp(account uuid, secret bytea) returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
    update identity.person p set totp_secret = secret, totp_step = null
    where p.account_id = account and p.totp_confirmed_at is null;
    return found;
end
$$;

-- Turns it on with its first code, and sets the recovery codes: hashes in hexadecimal.
create function identity.confirm_totp(account uuid, secret bytea, step bigint, codes text[], client jsonb) returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
    update identity.person p set totp_confirmed_at = now(), totp_step = step
    where p.account_id = account and p.totp_secret = secret and p.totp_confirmed_at is null;
    if not found then
        return false;
    end if;
    delete from identity.recovery_code r where r.account_id = account;
    insert into identity.recovery_code (account_id, hash) select account, decode(code, 'hex') from unnest(codes) as code;
    perform audit.record(account, 'second-factor.added', account::text, true, client ->> 'address', client ->> 'request_id');
    return true;
end
$$;

create function identity.remove_totp(account uuid, client jsonb) returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
    if not identity.drop_second_factor(account) then
        return false;
    end if;
    perform audit.record(account, 'second-factor.removed', account::text, true, client ->> 'address', client ->> 'request_id');
    return true;
end
$$;

-- The account of a person whom a provider vouches for. A verified address that an account here has proved too is
-- that account's; else it is a new one, with the name, or one like it that is free.
create function identity.account_of_external(issuer text, subject text, email text, verified boolean, name text, client jsonb)
returns uuid
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    found_account uuid;
    wanted text := name;
begin
    -- Those who come for the first time at the same moment take turns.
    perform pg_advisory_xact_lock(hashtextextended('provider ' || account_of_external.email, 1));
    select e.account_id into found_account from identity.external_identity e
    where e.issuer = account_of_external.issuer and e.subject = account_of_external.subject;
    if found then
        return (select a.id from identity.account a where a.id = found_account and a.status = 'active');
    end if;
    if verified then
        select p.account_id into found_account from identity.person p
        join identity.account a on a.id = p.account_id and a.status = 'active'
        where p.email = account_of_external.email and p.verified_at is not null;
    end if;
    if found_account is null then
        if exists (select from identity.account a where a.name = wanted) then
            wanted := left(wanted, 31) || '-' || substr(md5(account_of_external.issuer || ' ' || account_of_external.subject), 1, 8);
        end if;
        begin
            insert into identity.account as a (kind, name) values ('user', wanted) returning a.id into found_account;
        exception when check_violation or unique_violation then
            -- A reserved word, or one that was free a moment ago.
            insert into identity.account as a (kind, name)
            values ('user', 'user-' || replace(platform.uuid_v7()::text, '-', '')) returning a.id into found_account;
        end;
        insert into identity.person (account_id, email, verified_at)
        values (found_account, account_of_external.email, case when verified then now() end);
        perform audit.record(found_account, 'account.registered', found_account::text, true,
            client ->> 'address', client ->> 'request_id', '{"by": "provider"}');
    end if;
    insert into identity.external_identity (issuer, subject, account_id)
    values (account_of_external.issuer, account_of_external.subject, found_account);
    perform audit.record(found_account, 'provider.linked', account_of_external.issuer, true,
        client ->> 'address', client ->> 'request_id');
    return found_account;
end
$$;

-- --- Agents' owners and keys.
alter table identity.agent add column owner_id uuid references identity.account (id) on delete set null;
create index agent_owner on identity.agent (owner_id, account_id) where owner_id is not null;
create or replace view identity.agent_profile as
select a.id, a.name, encode(g.public_key, 'base64') as public_key, g.description, a.status, a.created_at,
    o.name as owner
from identity.account a join identity.agent g on g.account_id = a.id
left join identity.account o on o.id = g.owner_id
where a.kind = 'agent';

-- Keys that an agent had before. They never come back, to it or to another agent.
create table identity.former_key (
    public_key bytea primary key,
    account_id uuid not null references identity.account (id) on delete cascade,
    created_at timestamptz not null,
    retired_at timestamptz not null default now()
);
create index former_key_account on identity.former_key (account_id, retired_at);
alter table identity.agent add column key_since timestamptz not null default now();
update identity.agent g set key_since = a.created_at from identity.account a where a.id = g.account_id;

create function identity.refuse_former_key() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
    if exists (select from identity.former_key f where f.public_key = new.public_key) then
        raise exception 'a former key' using errcode = 'unique_violation', constraint = 'agent_public_key_key';
    end if;
    return new;
end
$$;
create trigger agent_key_new before insert or update of public_key on identity.agent
for each row execute function identity.refuse_former_key();

-- The old key stands in the condition: of two rotations at once, one finds it gone.
create function identity.rotate_agent_key(account uuid, old bytea, new bytea, client jsonb)
returns setof identity.agent_profile
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    since timestamptz;
begin
    perform from identity.account a where a.id = account for update;
    select g.key_since into since from identity.agent g
    where g.account_id = account and g.public_key = old for update;
    if not found then
        return;
    end if;
    update identity.agent g set public_key = new, key_since = now() where g.account_id = account;
    insert into identity.former_key (public_key, account_id, created_at) values (old, account, since);
    perform identity.end_sessions(account);
    perform identity.end_keys(account);
    perform audit.record(account, 'agent.key-rotated', account::text, true, client ->> 'address', client ->> 'request_id',
        jsonb_build_object('key', encode(new, 'base64')));
    return query select p.* from identity.agent_profile p where p.id = account;
end
$$;

-- A person asks for an agent; the agent accepts by giving the code back, signed in as itself.
create table identity.claim (
    hash bytea primary key,
    agent_id uuid not null references identity.agent (account_id) on delete cascade,
    owner_id uuid not null references identity.account (id) on delete cascade,
    expires_at timestamptz not null
);
create index claim_agent on identity.claim (agent_id);
create index claim_owner on identity.claim (owner_id);
create index claim_expires on identity.claim (expires_at);

create function identity.claim_agent(agent uuid, owner uuid, hash bytea, client jsonb) returns timestamptz
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    until timestamptz;
begin
    perform identity.require_active(owner);
    perform from identity.agent g where g.account_id = claim_agent.agent for update;
    if not found then
        return null;
    end if;
    -- One at a time: the last code counts.
    delete from identity.claim c where c.agent_id = claim_agent.agent and c.owner_id = claim_agent.owner;
    insert into identity.claim as c (hash, agent_id, owner_id, expires_at)
    values (claim_agent.hash, claim_agent.agent, claim_agent.owner, now() + interval '15 minutes')
    returning c.expires_at into until;
    perform audit.record(owner, 'agent.claimed', claim_agent.agent::text, true, client ->> 'address', client ->> 'request_id');
    return until;
end
$$;

create function identity.accept_claim(agent uuid, hash bytea, client jsonb) returns setof identity.agent_profile
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    owner uuid;
begin
    delete from identity.claim c
    where c.hash = accept_claim.hash and c.agent_id = accept_claim.agent and c.expires_at > now()
    returning c.owner_id into owner;
    if not found then
        return;
    end if;
    update identity.agent g set owner_id = owner where g.account_id = accept_claim.agent and g.owner_id is null;
    if not found then
        perform identity.refuse('agent_owned');
    end if;
    delete from identity.claim c where c.agent_id = accept_claim.agent;
    perform audit.record(accept_claim.agent, 'agent.owned', owner::text, true, client ->> 'address', client ->> 'request_id');
    return query select p.* from identity.agent_profile p where p.id = accept_claim.agent;
end
$$;

-- Either side ends it.
create function identity.release_agent(agent uuid, actor uuid, client jsonb) returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
    update identity.agent g set owner_id = null
    where g.account_id = release_agent.agent and g.owner_id is not null
    and actor in (g.owner_id, g.account_id);
    if not found then
        return false;
    end if;
    perform audit.record(actor, 'agent.released', release_agent.agent::text, true, client ->> 'address', client ->> 'request_id');
    return true;
end
$$;

-- --- Teams: workspaces with members, whose role in the team says what they may do with what is the team's.
create table identity.team_role (
    name text primary key,
    scopes text[] not null,
    rank smallint not null
);
insert into identity.team_role (rank, name, scopes) values
    (1, 'viewer', '{kb:read}'),
    (2, 'member', '{asset:generate,chat:create,kb:read,kb:write,skills:call}'),
    (3, 'owner', '{asset:generate,chat:create,kb:read,kb:write,skills:call,skills:publish,team:manage}');

create table identity.team (
    id uuid primary key default platform.uuid_v7(),
    name text collate "C" not null,
    description text not null default '',
    created_at timestamptz not null default now(),
    constraint team_name_form check (name ~ '^[a-z0-9-]{3,40}$'),
    constraint team_name_key unique (name),
    constraint team_description_size check (char_length(description) <= 1000)
);
create table identity.team_member (
    team_id uuid not null references identity.team (id) on delete cascade,
    account_id uuid not null references identity.account (id) on delete cascade,
    role text not null,
    added_at timestamptz not null default now(),
    primary key (team_id, account_id),
    constraint team_member_role_known foreign key (role) references identity.team_role (name)
);
create index team_member_account on identity.team_member (account_id, team_id);

-- Whether an account may do something: by its own roles or, with what belongs to a team, by its role there. Whoever asks
-- for a caller asks about the caller's own scopes first: a key may have fewer than its account.
create function identity.allows(account uuid, scope text, team uuid default null) returns boolean
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select coalesce((select a.status = 'active' from identity.account a where a.id = allows.account), false) and (
        case when allows.team is null
            then string_to_array(identity.scopes_of(allows.account), ' ') && array['admin:all', allows.scope]
            else exists (select from identity.team_member m join identity.team_role r on r.name = m.role
                where m.team_id = allows.team and m.account_id = allows.account and allows.scope = any(r.scopes))
        end)
$$;

create function identity.create_team(creator uuid, name text, description text, client jsonb) returns identity.team
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    made identity.team;
begin
    perform identity.require_active(creator);
    insert into identity.team as t (name, description)
    values (create_team.name, create_team.description) returning t.* into made;
    insert into identity.team_member (team_id, account_id, role) values (made.id, creator, 'owner');
    perform audit.record(creator, 'team.created', made.id::text, true, client ->> 'address', client ->> 'request_id',
        jsonb_build_object('name', made.name));
    return made;
end
$$;

-- Puts an account into a team, with a role or another one; null takes it out. The last owner stays.
create function identity.set_member(team uuid, account uuid, role text, actor uuid, client jsonb) returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
    perform from identity.team t where t.id = set_member.team for update;
    if not found then
        return false;
    end if;
    -- Who leaves at this moment goes before us, or is taken out after us.
    perform from identity.account a where a.id = set_member.account for share;
    if set_member.role is null then
        delete from identity.team_member m where m.team_id = set_member.team and m.account_id = set_member.account;
    else
        insert into identity.team_member as m (team_id, account_id, role)
        select set_member.team, a.id, set_member.role from identity.account a
        where a.id = set_member.account and a.status <> 'deleted'
        on conflict on constraint team_member_pkey do update set role = excluded.role;
    end if;
    if not found then
        return false;
    end if;
    if not exists (select from identity.team_member m where m.team_id = set_member.team and m.role = 'owner') then
        perform identity.refuse('team_last_owner');
    end if;
    perform audit.record(actor, 'team.member-changed', set_member.team::text, true, client ->> 'address', client ->> 'request_id',
        jsonb_build_object('account', set_member.account, 'role', set_member.role));
    return true;
end
$$;

-- --- Leaving. What others rely on stays, under a name that tells nothing; what is personal goes.
create function identity.forget_account(account uuid, client jsonb) returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    was_admin boolean;
    left_team uuid;
begin
    perform identity.lock_admins();
    was_admin := 'admin' = any(identity.roles_of(account));
    delete from identity.sign_in_failure f using identity.person p
    where p.account_id = account and (f.key = 'email:' || p.email or f.key like 'both:' || p.email || ' %');
    delete from identity.idempotency_key k where k.owner = account::text;
    update identity.account a set name = 'deleted-' || replace(a.id::text, '-', ''), status = 'deleted',
        generation = a.generation + 1, changed_at = clock_timestamp()
    where a.id = account and a.status <> 'deleted';
    if not found then
        return false;
    end if;
    delete from identity.account_role g where g.account_id = account;
    if was_admin then
        perform identity.keep_an_admin();
    end if;
    perform identity.end_sessions(account);
    update identity.session s set address = null, user_agent = null where s.account_id = account;
    -- Always in this order: others change them too.
    perform from identity.team t where t.id in (select m.team_id from identity.team_member m where m.account_id = account)
    order by t.id for update;
    perform identity.end_keys(account);
    update identity.api_key k set name = 'deleted' where k.account_id = account;
    delete from identity.person p where p.account_id = account;
    delete from identity.recovery_code r where r.account_id = account;
    delete from identity.external_identity e where e.account_id = account;
    delete from identity.link l where l.account_id = account;
    delete from identity.claim c where account in (c.agent_id, c.owner_id);
    update identity.agent g set owner_id = null where g.owner_id = account;
    -- The key of one that left is nobody's again.
    insert into identity.former_key (public_key, account_id, created_at)
    select g.public_key, g.account_id, g.key_since from identity.agent g where g.account_id = account;
    delete from identity.agent g where g.account_id = account;
    for left_team in
        delete from identity.team_member m where m.account_id = account returning m.team_id
    loop
        -- The eldest member inherits a team without an owner; one without members goes too.
        update identity.team_member m set role = 'owner'
        where m.team_id = left_team
        and not exists (select from identity.team_member o where o.team_id = left_team and o.role = 'owner')
        and m.account_id = (select e.account_id from identity.team_member e where e.team_id = left_team
            order by e.added_at, e.account_id limit 1);
        delete from identity.team t where t.id = left_team
        and not exists (select from identity.team_member m where m.team_id = left_team);
    end loop;
    perform audit.record(account, 'account.deleted', account::text, true, client ->> 'address', client ->> 'request_id');
    return true;
end
$$;

-- All that identity knows of an account, without what could be used to sign in.
create function identity.export_account(account uuid) returns jsonb
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select jsonb_build_object(
        'account', (select to_jsonb(v) from identity.account_view v where v.id = account),
        'agent', (select to_jsonb(p) from identity.agent_profile p where p.id = account),
        'person', (select jsonb_build_object('email', p.email, 'verified_at', p.verified_at,
                'password_changed_at', p.password_changed_at, 'second_factor_since', p.totp_confirmed_at)
            from identity.person p where p.account_id = account),
        'providers', (select coalesce(jsonb_agg(jsonb_build_object('issuer', e.issuer, 'subject', e.subject,
            'since', e.created_at)), '[]') from identity.external_identity e where e.account_id = account),
        -- The newest: an agent that signs in each minute has more than one answer can hold.
        'sessions', (select coalesce(jsonb_agg(to_jsonb(s) - 'cookie_hash' order by s.id), '[]') from (
            select * from identity.session s where s.account_id = account order by s.id desc limit 1000) s),
        'keys', (select coalesce(jsonb_agg(to_jsonb(k) - 'hash' order by k.id), '[]')
            from identity.api_key k where k.account_id = account),
        'agents', (select coalesce(jsonb_agg(a.name order by a.name), '[]') from identity.agent g
            join identity.account a on a.id = g.account_id where g.owner_id = account),
        'teams', (select coalesce(jsonb_agg(jsonb_build_object('name', t.name, 'role', m.role, 'since', m.added_at)
            order by t.name), '[]') from identity.team_member m join identity.team t on t.id = m.team_id
            where m.account_id = account),
        'audit', (select coalesce(jsonb_agg(to_jsonb(e) order by e.at), '[]') from (
            select e.at, e.action, e.subject, e.allowed, e.address, e.detail from audit.entry e
            where e.actor_id = account order by e.at desc, e.id desc limit 1000) e))
$$;

-- --- What has had its day; see 0005_account_purge.sql. People who never signed in go as agents do,
-- unless they proved their address.
drop function identity.purge(integer);
create function identity.purge(most integer, out accounts bigint, out sessions bigint,
    out refresh_tokens bigint, out idempotency_keys bigint, out challenges bigint, out links bigint, out counters bigint)
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
    with gone as (
        delete from identity.account a where a.id in (
            select o.id from identity.account o
            where o.created_at < now() - interval '1 day' and o.authenticated_at is null and o.status = 'active'
            and not exists (select from identity.account_role r where r.account_id = o.id)
            and not exists (select from identity.person p where p.account_id = o.id and p.verified_at is not null)
            order by o.created_at limit most for update skip locked)
        returning 1
    ) select count(*) into accounts from gone;
    with gone as (
        delete from identity.session s where s.id in (
            select o.id from identity.session o where o.expires_at < now() - interval '1 day'
            order by o.expires_at limit most for update skip locked)
        returning 1
    ) select count(*) into sessions from gone;
    with gone as (
        delete from identity.refresh_token t where t.hash in (
            select o.hash from identity.refresh_token o where o.expires_at < now() - interval '1 day'
            order by o.expires_at limit most for update skip locked)
        returning 1
    ) select count(*) into refresh_tokens from gone;
    with gone as (
        delete from identity.idempotency_key k where (k.owner, k.key) in (
            select o.owner, o.key from identity.idempotency_key o
            where o.created_at < now() - interval '1 day'
            order by o.created_at limit most for update skip locked)
        returning 1
    ) select count(*) into idempotency_keys from gone;
    with gone as (
        delete from identity.used_challenge c where c.nonce in (
            select o.nonce from identity.used_challenge o where o.expires_at < now() - interval '1 minute'
            order by o.expires_at limit most for update skip locked)
        returning 1
    ) select count(*) into challenges from gone;
    with gone as (
        delete from identity.link l where l.id in (
            select o.id from identity.link o where o.expires_at < now() - interval '1 day'
            order by o.expires_at limit most for update skip locked)
        returning 1
    ), claims as (
        delete from identity.claim c where c.hash in (
            select o.hash from identity.claim o where o.expires_at < now()
            order by o.expires_at limit most for update skip locked)
        returning 1
    ), keys as (
        delete from identity.api_key k where k.id in (
            select o.id from identity.api_key o
            where o.revoked_at < now() - interval '30 days' or o.expires_at < now() - interval '30 days'
            limit most for update skip locked)
        returning 1
    ) select (select count(*) from gone) + (select count(*) from claims) + (select count(*) from keys) into links;
    with gone as (
        delete from identity.allowance a where a.bucket in (
            select o.bucket from identity.allowance o where o.ends_at < now() - interval '1 minute'
            order by o.ends_at limit most for update skip locked)
        returning 1
    ), failures as (
        delete from identity.sign_in_failure f where f.key in (
            select o.key from identity.sign_in_failure o where o.last_at < now() - interval '1 day'
            order by o.last_at limit most for update skip locked)
        returning 1
    ) select (select count(*) from gone) + (select count(*) from failures) into counters;
end
$$;
grant execute on function identity.purge(integer) to gather_account_purge;
grant usage on schema audit to gather_account_purge;
grant execute on function audit.maintain() to gather_account_purge;

-- See 0001_platform.sql on why like this.
do $$
begin
    create role gather_mail_delivery login nosuperuser nocreatedb nocreaterole noinherit;
    alter role gather_mail_delivery set search_path = identity;
    alter role gather_mail_delivery set timezone = 'UTC';
    alter role gather_mail_delivery set statement_timeout = '25s';
    alter role gather_mail_delivery set idle_in_transaction_session_timeout = '60s';
exception when duplicate_object or unique_violation then null;
end
$$;
grant usage on schema identity to gather_mail_delivery;
grant execute on function identity.outgoing_mail(uuid) to gather_mail_delivery;
insert into jobs.enqueuer (role, kind) values ('gather_identity', 'mail-delivery');

grant select (account_id, email, verified_at, totp_confirmed_at, totp_secret, password_version) on identity.person to gather_identity;
grant select, update (description), delete on identity.team to gather_identity;
grant select on identity.team_member, identity.former_key to gather_identity;
revoke update on identity.agent from gather_identity;
grant update (description) on identity.agent to gather_identity;
grant execute on function
    identity.sign_in_delay(text, text),
    identity.check_password(text, bytea, uuid, jsonb),
    identity.refuse_sign_in(text, jsonb, text),
    identity.forgive(uuid, text, text, boolean),
    identity.use_second_factor(uuid, bigint, bytea),
    identity.register_person(text, text, bytea, smallint, jsonb),
    identity.register_admin(uuid, text, text, bytea, smallint, jsonb),
    identity.verify_again(uuid),
    identity.link_email(uuid, text),
    identity.verify_email(uuid, bytea, jsonb),
    identity.forget_password(text, jsonb),
    identity.set_password(uuid, uuid, bytea, smallint, uuid, jsonb),
    identity.set_totp(uuid, bytea),
    identity.confirm_totp(uuid, bytea, bigint, text[], jsonb),
    identity.remove_totp(uuid, jsonb),
    identity.account_of_external(text, text, text, boolean, text, jsonb),
    identity.rotate_agent_key(uuid, bytea, bytea, jsonb),
    identity.claim_agent(uuid, uuid, bytea, jsonb),
    identity.accept_claim(uuid, bytea, jsonb),
    identity.release_agent(uuid, uuid, jsonb),
    identity.allows(uuid, text, uuid),
    identity.create_team(uuid, text, text, jsonb),
    identity.set_member(uuid, uuid, text, uuid, jsonb),
    identity.forget_account(uuid, jsonb),
    identity.export_account(uuid)
    to gather_identity;
