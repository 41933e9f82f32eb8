-- Who waits for whom. What is checked before a lock is had is checked again under it. Locks are taken in the order teams,
-- account, links and keys, failures by their key; where two still meet the wrong way round, one is told to come again.

-- Tokens of an account that has just left are believed for a moment; what lasts is not made with them. Who merely refers
-- to the account does not wait for us.
create or replace function identity.require_active(account uuid) returns void
language plpgsql
as $$
begin
    perform from identity.account a where a.id = account and a.status = 'active' for no key update;
    if not found then
        perform identity.refuse('account_active');
    end if;
end
$$;

-- What stands for a session where a request is signed: the key, so that it ends when the key is another one.
create function identity.session_of_key(key bytea) returns uuid
language sql immutable
as $$
    select encode(substr(sha256(key), 1, 16), 'hex')::uuid
$$;

create or replace function identity.signed_by(key bytea, nonce bytea, expires timestamptz) returns jsonb
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    known jsonb;
begin
    select jsonb_build_object('id', a.id, 'kind', a.kind, 'generation', a.generation,
        'session', identity.session_of_key(g.public_key),
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

create or replace function identity.create_key(account uuid, session uuid, name text, hash bytea, hint text, scopes text[], expires timestamptz, client jsonb)
returns setof identity.api_key
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    made identity.api_key;
begin
    -- Those who ask at the same moment take turns.
    perform identity.require_active(account);
    if not exists (select from identity.session s where s.id = create_key.session and s.revoked_at is null)
        and not exists (select from identity.agent g
            where g.account_id = account and identity.session_of_key(g.public_key) = create_key.session) then
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

-- A sign-in with the provider counts while the account is linked with it.
create or replace function identity.open_session(account uuid, method text, password bytea, refresh bytea, client jsonb, known_kid text)
returns setof identity.granted
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    opened uuid;
begin
    -- Whoever suspends the account or changes how it signs in waits for us, or we for them.
    perform from identity.account a where a.id = account and a.status = 'active' for no key update;
    if not found
        or (open_session.password is not null and not identity.has_password(account, open_session.password))
        or (open_session.method = 'provider'
            and not exists (select from identity.external_identity e where e.account_id = account)) then
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

create or replace function identity.forgive(account uuid, email text, address text, proved boolean) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
    if account is distinct from identity.holder_of(forgive.email) then
        return;
    end if;
    -- In the order in which failures are noted.
    perform from identity.sign_in_failure f
    where f.key in ('address:' || forgive.address, 'both:' || forgive.email || ' ' || forgive.address)
    or (proved and f.key = 'email:' || forgive.email)
    order by f.key for update;
    delete from identity.sign_in_failure f
    where f.key = 'both:' || forgive.email || ' ' || forgive.address
    or (proved and f.key = 'email:' || forgive.email);
    update identity.sign_in_failure f set failures = f.failures / 2 where f.key = 'address:' || forgive.address;
end
$$;

-- Sets a password, by a link or by the old one, which may have changed since it was looked at. All other sessions end.
drop function identity.set_password(uuid, uuid, bytea, smallint, uuid, jsonb);
create function identity.set_password(account uuid, link uuid, old bytea, password bytea, version smallint, but uuid, client jsonb)
returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    target uuid := account;
    changed identity.person;
    first_proof boolean := false;
begin
    if link is not null then
        select l.account_id into target from identity.link l where l.id = set_password.link;
    end if;
    -- Who opens a session at this moment goes before us, and is ended, or comes after us, and is refused. The account
    -- before its links, as those do who leave; and who mails it refers to it without waiting for us.
    perform from identity.account a where a.id = target for no key update;
    if link is null then
        if not identity.has_password(target, set_password.old) then
            return false;
        end if;
    else
        update identity.link l set used_at = now()
        where l.id = set_password.link and l.purpose = 'reset' and l.used_at is null and l.expires_at > now();
        if not found then
            return false;
        end if;
        -- Whatever else was asked for is void too.
        update identity.link l set used_at = now()
        where l.account_id = target and l.purpose = 'reset' and l.used_at is null;
        -- Whoever had the password, or had registered with somebody else's address, keeps nothing.
        perform identity.end_keys(target);
        select p.verified_at is null into first_proof from identity.person p where p.account_id = target;
        if first_proof or exists (select from identity.person p
                where p.account_id = target and p.totp_confirmed_at > now() - interval '7 days') then
            perform identity.drop_second_factor(target);
        end if;
        if first_proof then
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
grant execute on function identity.set_password(uuid, uuid, bytea, bytea, smallint, uuid, jsonb) to gather_identity;

-- A mail address is compared as it is: it may contain what `like` takes for any text.
create or replace function identity.forget_account(account uuid, client jsonb) returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    was_admin boolean;
    left_team uuid;
begin
    perform identity.lock_admins();
    was_admin := 'admin' = any(identity.roles_of(account));
    -- Always in this order: others change them too.
    perform from identity.team t where t.id in (select m.team_id from identity.team_member m where m.account_id = account)
    order by t.id for update;
    perform from identity.account a where a.id = account for update;
    perform from identity.sign_in_failure f join identity.person p on p.account_id = account
    and (f.key = 'email:' || p.email or starts_with(f.key, 'both:' || p.email || ' '))
    order by f.key for update of f;
    delete from identity.sign_in_failure f using identity.person p
    where p.account_id = account and (f.key = 'email:' || p.email or starts_with(f.key, 'both:' || p.email || ' '));
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
