-- Makes an API key, of which an account has at most 100. Whoever was signed out a moment ago makes none: the session,
-- or the key that signed the request, must still be good.
create or replace function identity.create_key(account uuid, session uuid, name text, hash bytea, hint text, scopes text[], expires timestamptz, client jsonb)
returns setof identity.api_key
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    made identity.api_key;
begin
    -- Requests at the same moment take turns.
    perform identity.require_active(account);
    if not exists (select from identity.session s where s.id = create_key.session and s.revoked_at is null)
        and not exists (select from identity.agent g
            where g.account_id = account and identity.session_of_key(g.public_key) = create_key.session) then
        perform identity.refuse('account_active');
    end if;
    if (select count(*) from identity.api_key k where k.account_id = account and k.revoked_at is null
        and (k.expires_at is null or k.expires_at > now())) >= 100 then
        perform identity.refuse('api_key_count');
    end if;
    insert into identity.api_key as k (account_id, name, hash, hint, scopes, expires_at)
    values (account, create_key.name, create_key.hash, create_key.hint, create_key.scopes, expires)
    returning k.* into made;
    perform audit.record(account, 'key.created', made.id::text, true, client ->> 'address', client ->> 'request_id',
        jsonb_build_object('name', made.name, 'scopes', made.scopes));
    return next made;
end
$$;
grant execute on function identity.create_key to gather_accounts;
