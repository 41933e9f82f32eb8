-- The active signing key, sealed: the given one, unless there is one already.
create or replace function identity.add_signing_key(made text, public_key bytea, secret bytea)
returns table (kid text, sealed text)
language sql security definer set search_path = pg_catalog, pg_temp
as $$
    insert into identity.signing_key (kid, public_key, sealed)
    values (add_signing_key.made, add_signing_key.public_key, add_signing_key.secret)
    on conflict ((true)) where retired_at is null do nothing;
    select k.kid, encode(k.sealed, 'base64') from identity.signing_key k where k.retired_at is null
$$;
grant execute on function identity.add_signing_key to gather_identity, gather_people;
