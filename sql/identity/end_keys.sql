-- Ends the other ways to sign in, API keys and passkeys, when the password is reset.
create or replace function identity.end_keys(account uuid) returns void
language sql
as $$
    update identity.api_key k set revoked_at = clock_timestamp() where k.account_id = account and k.revoked_at is null;
    delete from identity.passkey p where p.account_id = account;
$$;
