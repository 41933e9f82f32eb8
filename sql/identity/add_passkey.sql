-- Adds the passkey that a device made for this account. Each challenge (the nonce) counts once.
create or replace function identity.add_passkey(account uuid, session uuid, name text, credential bytea, fixed bytea, changing bytea,
    backed_up boolean, nonce bytea, expires timestamptz, client jsonb) returns setof identity.passkey
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    made identity.passkey;
begin
    -- Requests at the same moment take turns.
    perform identity.require_session(account, session);
    -- A person without a password must have signed in a moment ago.
    if exists (select from identity.person p join identity.session s on s.id = session
            where p.account_id = account and p.password is null and s.created_at < now() - interval '10 minutes') then
        perform identity.refuse('session_fresh');
    end if;
    if (select count(*) from identity.passkey p where p.account_id = account) >= 20 then
        perform identity.refuse('passkey_count');
    end if;
    insert into identity.used_challenge (nonce, expires_at) values (add_passkey.nonce, expires);
    insert into identity.passkey as p (account_id, credential_id, name, static_state, dynamic_state, backed_up)
    values (account, credential, add_passkey.name, fixed, changing, add_passkey.backed_up) returning p.* into made;
    perform audit.record(account, 'passkey.added', made.id::text, true, client ->> 'address', client ->> 'request_id',
        jsonb_build_object('name', made.name));
    return next made;
end
$$;
grant execute on function identity.add_passkey to gather_people;
