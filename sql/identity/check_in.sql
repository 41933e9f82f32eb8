-- All that a function asks about a request, in one statement: the keys, what was revoked or changed since
-- the last time, whose credential this is, and a lease on the requests that its account, or else its
-- address, may still make.
--   since       the time of the last answer; null: everything is told
--   credential  SHA-256 of an API key or a cookie, or null
--   bucket      the address whose requests are counted if the credential names no account; null: none
create or replace function identity.check_in(since timestamptz, credential bytea, bucket text, tier text, quota integer, exact boolean)
returns jsonb
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    known jsonb;
    counted text := check_in.bucket;
    -- Commits are not seen in the order of their times; no statement takes longer than this.
    after timestamptz := check_in.since - interval '30 seconds';
begin
    if credential is not null then
        select jsonb_build_object('id', a.id, 'kind', a.kind, 'generation', a.generation, 'session', c.id,
            'via', c.via, 'expires', extract(epoch from c.expires_at)::bigint, 'used_at', c.last_used_at,
            'scope', case when c.scopes is null then identity.scopes_of(a.id) else (
                select coalesce(string_agg(s, ' '), '')
                from unnest(string_to_array(identity.scopes_of(a.id), ' ')) s where s = any(c.scopes)) end)
        into known
        from (
            select s.id, s.account_id, s.expires_at, 'cookie' as via, null::text[] as scopes, now() as last_used_at
            from identity.session s
            where s.cookie_hash = credential and s.revoked_at is null and s.expires_at > now()
            union all
            select k.id, k.account_id, k.expires_at, 'key', k.scopes, k.last_used_at
            from identity.api_key k
            where k.hash = credential and k.revoked_at is null and (k.expires_at is null or k.expires_at > now())
        ) c
        join identity.account a on a.id = c.account_id and a.status = 'active' and not claws.is_ended(a.id);
        if known ->> 'via' = 'key' and (known ->> 'used_at' is null
            or (known ->> 'used_at')::timestamptz < now() - interval '1 minute') then
            -- Its loss in a crash would be harmless, so the statement does not wait for the disk.
            perform set_config('synchronous_commit', 'off', true);
            update identity.api_key k set last_used_at = now() where k.hash = credential;
        end if;
        if known is not null and counted is not null then
            counted := tier || ':account:' || (known ->> 'id');
        end if;
    end if;
    return jsonb_build_object(
        'now', clock_timestamp(),
        'keys', (select coalesce(jsonb_agg(jsonb_build_object('kid', k.kid, 'public_key', k.public_key)), '[]')
            from identity.verification_key k),
        'revoked', (select coalesce(jsonb_agg(r.session_id), '[]') from identity.revocation r
            where after is null or r.revoked_at > after),
        'changed', (select coalesce(jsonb_agg(jsonb_build_array(a.id, a.generation)), '[]') from identity.account a
            where a.changed_at > coalesce(after, now() - interval '20 minutes')),
        'caller', known,
        'lease', case when counted is not null then identity.lease(counted, quota, exact) end);
end
$$;
select platform.grant_to_functions('identity.check_in');
grant execute on function identity.check_in to gather_realtime;
