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
    -- A session that is opened at this moment comes before this statement, and is ended, or after it, and is refused.
    -- The account is locked before its links, as when an account leaves. A mail refers to it without waiting.
    perform from identity.account a where a.id = set_password.account for no key update;
    select p.email, p.verified_at is null into address, first_proof from identity.person p
    where p.account_id = set_password.account;
    if link is null then
        if not identity.has_password(account, set_password.old) then
            return false;
        end if;
    else
        -- All valid links for this address are locked in one order, since other accounts that claim it may use theirs.
        perform from identity.link l where l.email = address and l.purpose = 'reset' and l.used_at is null
        order by l.id for update;
        update identity.link l set used_at = now()
        where l.id = set_password.link and l.email = address and l.purpose = 'reset' and l.used_at is null
        and l.expires_at > now() and set_password.account in (select identity.claims_of(address));
        if not found then
            return false;
        end if;
        -- All other links become void as well.
        update identity.link l set used_at = now()
        where l.email = address and l.purpose = 'reset' and l.used_at is null;
        -- Somebody who had the password, or registered with another person's address, keeps nothing.
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
        -- The holder of the link reads the mail, which proves the address.
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
grant execute on function identity.set_password to gather_people;
