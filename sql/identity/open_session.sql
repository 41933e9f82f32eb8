-- Opens a session of 30 days. One that this browser had before is ended: a session that somebody else planted there
-- can't live on. No row if the account is not active any more, its password has changed, or it is no longer linked with
-- the provider.
--   password the password that was checked, if there was one
--   client   {address, user_agent, request_id, cookie, former_cookie}; the cookies as hexadecimal SHA-256
create or replace function identity.open_session(account uuid, method text, password bytea, refresh bytea, client jsonb, known_kid text)
returns setof identity.granted
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    opened uuid;
begin
    -- Changes of the account's status or sign-in take turns with this statement.
    perform from identity.account a where a.id = account and a.status = 'active' for no key update;
    if not found
        or (open_session.password is not null and not identity.has_password(account, open_session.password))
        or (open_session.method = 'provider'
            and not exists (select from identity.external_identity e where e.account_id = account)) then
        return;
    end if;
    update identity.session s set revoked_at = clock_timestamp()
    where s.cookie_hash = decode(client ->> 'former_cookie', 'hex') and s.revoked_at is null;
    insert into identity.session as s (account_id, expires_at, method, address, user_agent, cookie_hash)
    values (account, now() + interval '30 days', open_session.method, client ->> 'address',
        left(client ->> 'user_agent', 200), decode(client ->> 'cookie', 'hex'))
    returning s.id into opened;
    insert into identity.refresh_token (hash, account_id, session_id, expires_at)
    values (refresh, account, opened, now() + interval '30 days');
    update identity.account a set authenticated_at = now() where a.id = account and a.authenticated_at is null;
    perform audit.record(account, 'session.opened', opened::text, true, client ->> 'address',
        client ->> 'request_id', jsonb_build_object('method', open_session.method));
    return query select g.* from identity.granted_of(opened, known_kid) g;
end
$$;
grant execute on function identity.open_session to gather_people;
