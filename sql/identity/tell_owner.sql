-- Tells an account's owner of every change to how the account signs in, whatever caused it.
create or replace function identity.tell_owner() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
    -- An account that this transaction made needs no notice.
    if exists (select from identity.account a where a.id = new.account_id and a.created_at < now()) then
        perform identity.tell(new.account_id, tg_argv[0]);
    end if;
    return null;
end
$$;
create or replace trigger passkey_added after insert on identity.passkey
for each row execute function identity.tell_owner('passkey-added');
create or replace trigger provider_linked after insert on identity.external_identity
for each row execute function identity.tell_owner('provider-linked');
create or replace trigger key_created after insert on identity.api_key
for each row execute function identity.tell_owner('key-created');
create or replace trigger second_factor_added after update of totp_confirmed_at on identity.person
for each row when (old.totp_confirmed_at is null and new.totp_confirmed_at is not null)
execute function identity.tell_owner('second-factor-added');
create or replace trigger second_factor_removed after update of totp_confirmed_at on identity.person
for each row when (old.totp_confirmed_at is not null and new.totp_confirmed_at is null)
execute function identity.tell_owner('second-factor-removed');
