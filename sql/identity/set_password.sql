-- Sets a password, by a link or by the old one, which may have changed since it was looked at. All other sessions end.
create or replace function identity.set_password(account uuid, link uuid, old bytea, password bytea, version smallint, but uuid, client jsonb)
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
grant execute on function identity.set_password to gather_identity;
