-- Who has a mail address. Anybody may claim one, and a claim binds nobody until it is proved. Whoever proves theirs first
-- has the address; from then on other claims of it count for nothing, for as long as that account is there.

-- Where a mail goes, which is what its link proves. A link that sets a password is about the address alone: whose
-- password it sets is decided when it is used.
alter table identity.link add column email text;
update identity.link l set email = p.email from identity.person p where p.account_id = l.account_id;
update identity.link l set account_id = null where l.purpose = 'reset';
alter table identity.link add constraint link_email_known check ((email is null) = (purpose = 'admin'));
create index link_email on identity.link (email, purpose, id);

-- The accounts that an address stands for: the one that has proved it, or all that claim it while none has.
create function identity.claims_of(email text) returns setof uuid
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select a.id from identity.person p join identity.account a on a.id = p.account_id and a.status = 'active'
    where p.email = claims_of.email and (p.verified_at is not null or not exists (
        select from identity.person o where o.email = p.email and o.verified_at is not null))
$$;

-- Whose address it is; null where nobody has it, or where several claim it and none has proved it.
create or replace function identity.holder_of(email text) returns uuid
language sql stable
as $$
    select (array_agg(c.id))[1] from identity.claims_of(holder_of.email) as c (id) having count(*) = 1
$$;

-- Has a mail sent to an address, unless the same was sent there within the last minute, or five of this kind within the
-- last hour: nobody's mailbox is flooded from here.
--   account   which one it is about; null: the address alone
--   wanted    false: there is nobody to write to, and only the time is spent that a mail takes
drop function identity.mail(uuid, text, interval);
create function identity.mail(recipient text, account uuid, purpose text, valid interval, wanted boolean default true)
returns void
language plpgsql
as $$
declare
    link uuid := platform.uuid_v7();
begin
    -- Those who ask for the same address at the same moment take turns.
    perform pg_advisory_xact_lock(hashtextextended('mail ' || recipient, 1));
    if wanted
        and not exists (select from identity.link l
            where l.email = recipient and l.account_id is not distinct from mail.account and l.purpose = mail.purpose
            and l.created_at > now() - interval '1 minute')
        and (select count(*) from identity.link l
            where l.email = recipient and l.purpose = mail.purpose and l.created_at > now() - interval '1 hour') < 5
    then
        insert into identity.link (id, account_id, email, purpose, expires_at)
        values (link, mail.account, recipient, mail.purpose, now() + valid);
    end if;
    -- Also where there is no mail: the time tells nothing.
    perform jobs.enqueue('mail-delivery', jsonb_build_object('link', link));
end
$$;

-- What a mail says. Null: there is nothing to send any more. `name` is null where several accounts claim the address.
create or replace function identity.outgoing_mail(link uuid) returns jsonb
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select jsonb_build_object('to', l.email, 'name', a.name, 'purpose', l.purpose, 'expires_at', l.expires_at)
    from identity.link l
    left join identity.account a on a.id = coalesce(l.account_id, identity.holder_of(l.email)) and a.status <> 'deleted'
    where l.id = outgoing_mail.link and l.used_at is null and l.expires_at > now()
    and (a.id is not null or (l.account_id is null and exists (select from identity.claims_of(l.email))))
$$;

-- The address that a link proves, which its password's hash is salted with. Null: the link is not good.
create or replace function identity.link_email(link uuid, purpose text) returns text
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select l.email from identity.link l
    where l.id = link_email.link and l.purpose = link_email.purpose and l.used_at is null and l.expires_at > now()
$$;

-- Mails a notice, if the address was proved: any other may be a stranger's.
create or replace function identity.tell(account uuid, purpose text) returns void
language sql
as $$
    select identity.mail(p.email, p.account_id, tell.purpose, interval '1 day')
    from identity.person p where p.account_id = tell.account and p.verified_at is not null
$$;

-- Mails what proves the address of an account. There is always somebody to write to: where another account has the
-- address, its owner is told that somebody else claims it.
create function identity.mail_proof(account uuid) returns void
language plpgsql
as $$
declare
    claim identity.person;
    owner uuid;
begin
    select p.* into claim from identity.person p where p.account_id = account;
    select p.account_id into owner from identity.person p where p.email = claim.email and p.verified_at is not null;
    if owner is not null then
        perform identity.mail(claim.email, owner, 'registered', interval '1 day');
    elsif claim.password is null then
        -- Proving asks for the password. Without one, choosing one proves the address.
        perform identity.mail(claim.email, null, 'reset', interval '30 minutes');
    else
        perform identity.mail(claim.email, account, 'verify', interval '1 day');
    end if;
end
$$;

create or replace function identity.register_person(email text, name text, password bytea, version smallint, client jsonb)
returns identity.account
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    made identity.account;
begin
    insert into identity.account as a (kind, name) values ('user', register_person.name) returning a.* into made;
    insert into identity.person (account_id, email, password, password_version, password_changed_at)
    values (made.id, register_person.email, register_person.password, register_person.version, now());
    perform identity.mail_proof(made.id);
    perform audit.record(made.id, 'account.registered', made.id::text, true, client ->> 'address', client ->> 'request_id');
    return made;
end
$$;

-- Mails once more what proves the address. False: the account is no person's.
drop function identity.verify_again(uuid);
create function identity.verify_again(account uuid) returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    claim identity.person;
begin
    select p.* into claim from identity.person p where p.account_id = account;
    if not found then
        return false;
    end if;
    if claim.verified_at is not null then
        perform identity.refuse('email_verified');
    end if;
    perform identity.mail_proof(account);
    return true;
end
$$;

-- Proves the address of the account that the link was made for. Its password is asked for: somebody else may have
-- registered with the address of whoever reads the mail. False: not that password, or not a good link.
create or replace function identity.verify_email(link uuid, password bytea, client jsonb) returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    account uuid := (select l.account_id from identity.link l where l.id = verify_email.link);
begin
    -- The account before its links, as those do who leave.
    perform from identity.account a where a.id = account for no key update;
    update identity.link l set used_at = now()
    where l.id = verify_email.link and l.purpose = 'verify' and l.used_at is null and l.expires_at > now()
    and identity.has_password(account, verify_email.password);
    if not found then
        return false;
    end if;
    -- Of two that prove an address at the same moment, the index lets one do it.
    update identity.person p set verified_at = coalesce(p.verified_at, now()) where p.account_id = account;
    perform audit.record(account, 'email.verified', account::text, true, client ->> 'address', client ->> 'request_id');
    return true;
end
$$;

create or replace function identity.forget_password(email text, client jsonb) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
    perform identity.mail(forget_password.email, null, 'reset', interval '30 minutes',
        exists (select from identity.claims_of(forget_password.email)));
    perform audit.record(null, 'password.forgotten', identity.holder_of(forget_password.email)::text, true,
        client ->> 'address', client ->> 'request_id');
end
$$;

-- Sets a password, by the old one, which may have changed since it was looked at, or by a link to one of the accounts
-- that its address stands for. All other sessions end.
create or replace function identity.set_password(account uuid, link uuid, old bytea, password bytea, version smallint, but uuid, client jsonb)
returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    address text;
    first_proof boolean := false;
begin
    -- Who opens a session at this moment goes before us, and is ended, or comes after us, and is refused. The account
    -- before its links, as those do who leave; and who mails it refers to it without waiting for us.
    perform from identity.account a where a.id = set_password.account for no key update;
    select p.email, p.verified_at is null into address, first_proof from identity.person p
    where p.account_id = set_password.account;
    if link is null then
        if not identity.has_password(account, set_password.old) then
            return false;
        end if;
    else
        -- All that are good for this address, in one order: other accounts that claim it may use theirs.
        perform from identity.link l where l.email = address and l.purpose = 'reset' and l.used_at is null
        order by l.id for update;
        update identity.link l set used_at = now()
        where l.id = set_password.link and l.email = address and l.purpose = 'reset' and l.used_at is null
        and l.expires_at > now() and set_password.account in (select identity.claims_of(address));
        if not found then
            return false;
        end if;
        -- Whatever else was asked for is void too.
        update identity.link l set used_at = now()
        where l.email = address and l.purpose = 'reset' and l.used_at is null;
        -- Whoever had the password, or had registered with somebody else's address, keeps nothing.
        perform identity.end_keys(account);
        if first_proof or exists (select from identity.person p
                where p.account_id = set_password.account and p.totp_confirmed_at > now() - interval '7 days') then
            perform identity.drop_second_factor(account);
        end if;
        if first_proof then
            delete from identity.external_identity e where e.account_id = set_password.account;
        end if;
    end if;
    update identity.person p set password = set_password.password, password_version = set_password.version,
        password_changed_at = now(),
        -- Who has the link reads the mail.
        verified_at = case when link is null then p.verified_at else coalesce(p.verified_at, now()) end
    where p.account_id = set_password.account;
    perform identity.end_sessions(account, but);
    perform identity.forgive(account, address, client ->> 'address', link is not null);
    perform identity.tell(account, 'password-changed');
    perform audit.record(account, 'password.changed', account::text, true, client ->> 'address', client ->> 'request_id',
        jsonb_build_object('by', case when link is null then 'password' else 'link' end));
    return true;
end
$$;

-- What was failed at an address, and its links, stay for those who have it too.
create or replace function identity.forget_account(account uuid, client jsonb) returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    was_admin boolean;
    left_team uuid;
    address text;
begin
    perform identity.lock_admins();
    was_admin := 'admin' = any(identity.roles_of(account));
    -- Always in this order: others change them too.
    perform from identity.team t where t.id in (select m.team_id from identity.team_member m where m.account_id = account)
    order by t.id for update;
    perform from identity.account a where a.id = account for update;
    -- Null where others have the address too: what was failed and mailed there is about them as well.
    select p.email into address from identity.person p where p.account_id = account and not exists (
        select from identity.person o where o.email = p.email and o.account_id <> p.account_id);
    delete from identity.link l where l.account_id = account or l.email = address;
    perform from identity.sign_in_failure f
    where f.key = 'email:' || address or starts_with(f.key, 'both:' || address || ' ')
    order by f.key for update;
    delete from identity.sign_in_failure f
    where f.key = 'email:' || address or starts_with(f.key, 'both:' || address || ' ');
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

grant execute on function identity.claims_of(text), identity.verify_again(uuid) to gather_identity;
