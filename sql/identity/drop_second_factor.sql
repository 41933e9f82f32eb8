-- Turns the second factor off. False if there was none.
create or replace function identity.drop_second_factor(account uuid) returns boolean
language plpgsql
as $$
begin
    delete from identity.recovery_code r where r.account_id = account;
    update identity.person p set totp_secret = null, totp_confirmed_at = null, totp_step = null
    where p.account_id = account and p.totp_secret is not null;
    return found;
end
$$;
