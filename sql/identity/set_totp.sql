-- Sets a secret, which counts once its first code confirms it. False if there is a confirmed one.
create or replace function identity.set_totp(account uuid, secret bytea) returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
    update identity.person p set totp_secret = secret, totp_step = null
    where p.account_id = account and p.totp_confirmed_at is null;
    return found;
end
$$;
grant execute on function identity.set_totp to gather_people;
