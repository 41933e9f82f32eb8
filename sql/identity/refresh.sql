-- Exchanges a refresh token. A second use means that somebody has a copy, so its session ends.
create or replace function identity.refresh(presented bytea, next bytea, client jsonb, known_kid text)
returns setof identity.granted
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    token identity.refresh_token;
    continued identity.session;
begin
    select * into token from identity.refresh_token t where t.hash = presented for update;
    if not found then
        perform audit.record(null, 'session.refused', null, false, client ->> 'address', client ->> 'request_id',
            '{"method": "refresh"}');
        return;
    end if;
    if token.used_at is not null then
        update identity.session s set revoked_at = clock_timestamp() where s.id = token.session_id and s.revoked_at is null;
        if found then
            perform audit.record(token.account_id, 'session.reused', token.session_id::text, false,
                client ->> 'address', client ->> 'request_id', '{}');
        end if;
        return;
    end if;
    update identity.session s set refreshed_at = now(), expires_at = now() + interval '30 days'
    from identity.account a
    where s.id = token.session_id and token.expires_at > now() and s.revoked_at is null
    and s.expires_at > now() and a.id = s.account_id and a.status = 'active'
    returning s.* into continued;
    if not found then
        return;
    end if;
    update identity.refresh_token t set used_at = now() where t.hash = presented;
    insert into identity.refresh_token (hash, account_id, session_id, expires_at)
    values (next, continued.account_id, continued.id, continued.expires_at);
    return query select g.* from identity.granted_of(continued.id, known_kid) g;
end
$$;
grant execute on function identity.refresh to gather_identity;
