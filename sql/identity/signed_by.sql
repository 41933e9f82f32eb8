-- The account behind a signed request (RFC 9421) whose signature is valid: each nonce
-- works once. Null if the agent does not exist, or the nonce was used.
create or replace function identity.signed_by(key bytea, nonce bytea, expires timestamptz) returns jsonb
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    known jsonb;
begin
    select jsonb_build_object('id', a.id, 'kind', a.kind, 'generation', a.generation,
        'session', identity.session_of_key(g.public_key),
        'via', 'signature', 'expires', null, 'scope', identity.scopes_of(a.id))
    into known
    from identity.agent g join identity.account a on a.id = g.account_id
    where g.public_key = key and a.status = 'active' and not claws.is_ended(a.id);
    if known is null then
        return null;
    end if;
    insert into identity.used_challenge (nonce, expires_at) values (signed_by.nonce, signed_by.expires)
    on conflict do nothing;
    if not found then
        return null;
    end if;
    update identity.account a set authenticated_at = now()
    where a.id = (known ->> 'id')::uuid and a.authenticated_at is null;
    return known;
end
$$;
select platform.grant_to_functions('identity.signed_by');
