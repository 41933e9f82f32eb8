-- Proves the address of the account that the link was made for. Its password is asked for: somebody else may have
-- registered with the mail reader's address. False if the password is wrong, or the link is not valid.
create or replace function identity.verify_email(link uuid, password bytea, client jsonb) returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    account uuid := (select l.account_id from identity.link l where l.id = verify_email.link);
begin
    -- The account is locked before its links, as when an account leaves.
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
grant execute on function identity.verify_email to gather_people;
