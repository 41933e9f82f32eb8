-- Passkeys (WebAuthn, level 3): a person's device signs in for them, after it has checked that it is them.

create table identity.passkey (
    id uuid primary key default platform.uuid_v7(),
    -- Goes with the person: by leaving, or for an address that was never proved.
    account_id uuid not null references identity.person (account_id) on delete cascade,
    credential_id bytea not null,
    name text not null,
    -- The public key, and what changes by use (the counter among it), as webauthn_rp encodes them.
    static_state bytea not null,
    dynamic_state bytea not null,
    backed_up boolean not null,
    created_at timestamptz not null default now(),
    last_used_at timestamptz,
    constraint passkey_credential_id_key unique (credential_id),
    constraint passkey_credential_id_size check (octet_length(credential_id) between 16 and 1023),
    constraint passkey_name_size check (char_length(name) between 1 and 100),
    -- RSA of more than 4,096 bits takes too long to verify.
    constraint passkey_static_state_size check (octet_length(static_state) <= 640),
    constraint passkey_dynamic_state_size check (octet_length(dynamic_state) = 7)
);
create index passkey_account on identity.passkey (account_id, id);

alter table identity.session drop constraint session_method_known;
alter table identity.session add constraint session_method_known
    check (method in ('key', 'password', 'provider', 'passkey'));

-- Refuses who is suspended or gone, and whose session has ended: an access token is believed for two seconds more.
create function identity.require_session(account uuid, session uuid) returns void
language plpgsql
as $$
begin
    perform identity.require_active(account);
    if not exists (select from identity.session s
            where s.id = session and s.account_id = account and s.revoked_at is null) then
        perform identity.refuse('account_active');
    end if;
end
$$;

-- Mails a notice, if the address was proved: any other may be a stranger's.
create function identity.tell(account uuid, purpose text) returns void
language sql
as $$
    select identity.mail(p.account_id, tell.purpose, interval '1 day')
    from identity.person p where p.account_id = tell.account and p.verified_at is not null
$$;

-- Adds what a device made for this account. Each challenge (the nonce) counts once.
create function identity.add_passkey(account uuid, session uuid, name text, credential bytea, fixed bytea, changing bytea,
    backed_up boolean, nonce bytea, expires timestamptz, client jsonb) returns setof identity.passkey
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    made identity.passkey;
begin
    -- Those who ask at the same moment take turns.
    perform identity.require_session(account, session);
    -- Who has no password to show has signed in a moment ago.
    if exists (select from identity.person p join identity.session s on s.id = session
            where p.account_id = account and p.password is null and s.created_at < now() - interval '10 minutes') then
        perform identity.refuse('session_fresh');
    end if;
    if (select count(*) from identity.passkey p where p.account_id = account) >= 20 then
        perform identity.refuse('passkey_count');
    end if;
    insert into identity.used_challenge (nonce, expires_at) values (add_passkey.nonce, expires);
    insert into identity.passkey as p (account_id, credential_id, name, static_state, dynamic_state, backed_up)
    values (account, credential, add_passkey.name, fixed, changing, add_passkey.backed_up) returning p.* into made;
    perform audit.record(account, 'passkey.added', made.id::text, true, client ->> 'address', client ->> 'request_id',
        jsonb_build_object('name', made.name));
    return next made;
end
$$;

create function identity.remove_passkey(account uuid, passkey uuid, client jsonb) returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
    delete from identity.passkey p where p.id = passkey and p.account_id = account;
    if not found then
        return false;
    end if;
    perform identity.tell(account, 'passkey-removed');
    perform audit.record(account, 'passkey.removed', passkey::text, true, client ->> 'address', client ->> 'request_id');
    return true;
end
$$;

-- Opens a session for a passkey whose signature was verified. No row: the challenge was used, or the passkey was used or
-- removed meanwhile, or its account is suspended.
--   former, changing   the state that was verified against, and the one that follows
create function identity.sign_in_with_passkey(passkey uuid, former bytea, changing bytea, backed_up boolean,
    nonce bytea, expires timestamptz, refresh bytea, client jsonb, known_kid text) returns setof identity.granted
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    account uuid := (select p.account_id from identity.passkey p where p.id = passkey);
begin
    -- Whoever resets the password, which removes passkeys, waits for us, or we for them.
    perform from identity.account a where a.id = account for no key update;
    insert into identity.used_challenge (nonce, expires_at) values (sign_in_with_passkey.nonce, expires)
    on conflict do nothing;
    if found then
        update identity.passkey p set dynamic_state = changing, backed_up = sign_in_with_passkey.backed_up, last_used_at = now()
        where p.id = passkey and p.dynamic_state = former;
        if found then
            return query select g.* from identity.open_session(account, 'passkey', null, refresh, client, known_kid) g;
            if found then
                return;
            end if;
        end if;
    end if;
    perform audit.record(null, 'session.refused', account::text, false, client ->> 'address', client ->> 'request_id',
        '{"method": "passkey"}');
end
$$;

-- What was added beside the password ends with it where the password is reset: API keys, and passkeys.
create or replace function identity.end_keys(account uuid) returns void
language sql
as $$
    update identity.api_key k set revoked_at = clock_timestamp() where k.account_id = account and k.revoked_at is null;
    delete from identity.passkey p where p.account_id = account;
$$;

-- --- Whatever changes how an account signs in is told to its owner, by whichever way it came about.
alter table identity.link drop constraint link_purpose_known;
alter table identity.link add constraint link_purpose_known check (purpose in ('verify', 'reset', 'registered',
    'password-changed', 'admin', 'passkey-added', 'passkey-removed', 'provider-linked', 'key-created', 'second-factor-added', 'second-factor-removed'));

create function identity.tell_owner() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
    -- Who was made by this very transaction knows.
    if exists (select from identity.account a where a.id = new.account_id and a.created_at < now()) then
        perform identity.tell(new.account_id, tg_argv[0]);
    end if;
    return null;
end
$$;
create trigger passkey_added after insert on identity.passkey
for each row execute function identity.tell_owner('passkey-added');
create trigger provider_linked after insert on identity.external_identity
for each row execute function identity.tell_owner('provider-linked');
create trigger key_created after insert on identity.api_key
for each row execute function identity.tell_owner('key-created');
create trigger second_factor_added after update of totp_confirmed_at on identity.person
for each row when (old.totp_confirmed_at is null and new.totp_confirmed_at is not null)
execute function identity.tell_owner('second-factor-added');
create trigger second_factor_removed after update of totp_confirmed_at on identity.person
for each row when (old.totp_confirmed_at is not null and new.totp_confirmed_at is null)
execute function identity.tell_owner('second-factor-removed');

-- All that identity knows of an account, without what could be used to sign in.
create or replace function identity.export_account(account uuid) returns jsonb
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
        'passkeys', (select coalesce(jsonb_agg(jsonb_build_object('id', p.id, 'name', p.name, 'created_at', p.created_at,
            'last_used_at', p.last_used_at, 'backed_up', p.backed_up) order by p.id), '[]')
            from identity.passkey p where p.account_id = account),
        'agents', (select coalesce(jsonb_agg(a.name order by a.name), '[]') from identity.agent g
            join identity.account a on a.id = g.account_id where g.owner_id = account),
        'teams', (select coalesce(jsonb_agg(jsonb_build_object('name', t.name, 'role', m.role, 'since', m.added_at)
            order by t.name), '[]') from identity.team_member m join identity.team t on t.id = m.team_id
            where m.account_id = account),
        'audit', (select coalesce(jsonb_agg(to_jsonb(e) order by e.at), '[]') from (
            select e.at, e.action, e.subject, e.allowed, e.address, e.detail from audit.entry e
            where e.actor_id = account order by e.at desc, e.id desc limit 1000) e))
$$;

grant select on identity.passkey to gather_identity;
grant execute on function
    identity.add_passkey(uuid, uuid, text, bytea, bytea, bytea, boolean, bytea, timestamptz, jsonb),
    identity.remove_passkey(uuid, uuid, jsonb),
    identity.sign_in_with_passkey(uuid, bytea, bytea, boolean, bytea, timestamptz, bytea, jsonb, text)
    to gather_identity;
