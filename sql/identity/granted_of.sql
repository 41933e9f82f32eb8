-- The answer of a statement that opens or continues a session.
create or replace function identity.granted_of(session uuid, known_kid text) returns setof identity.granted
language sql stable
as $$
    select s.id, a.id, a.kind, identity.scopes_of(a.id), a.generation, k.kid,
        case when k.kid is distinct from known_kid then encode(k.sealed, 'base64') end
    from identity.session s
    join identity.account a on a.id = s.account_id
    left join identity.signing_key k on k.retired_at is null
    where s.id = granted_of.session
$$;
