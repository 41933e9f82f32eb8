-- Turns the second factor on with its first code, and sets the recovery codes: hashes in hexadecimal.
create or replace function identity.confirm_totp(account uuid, secret bytea, step bigint, codes text[], client jsonb) returns boolean
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
grant execute on function identity.confirm_totp to gather_people;
