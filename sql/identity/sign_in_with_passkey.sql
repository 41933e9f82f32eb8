-- Opens a session for a passkey whose signature was verified. No row if the challenge was used, or the passkey was used
-- or removed meanwhile, or its account is suspended.
--   former, changing   the state that was verified against, and the one that follows
create or replace function identity.sign_in_with_passkey(passkey uuid, former bytea, changing bytea, backed_up boolean,
    nonce bytea, expires timestamptz, refresh bytea, client jsonb, known_kid text) returns setof identity.granted
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    account uuid := (select p.account_id from identity.passkey p where p.id = passkey);
begin
    -- A reset of the password, which removes passkeys, takes turns with this statement.
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
grant execute on function identity.sign_in_with_passkey to gather_people;
