-- All public keys of the platform, as /.well-known/jwks.json shows them.
create or replace view identity.published_key as
select kid, public_key, expires_at from identity.verification_key
union all
select kid, encode(public_key, 'base64'), null from identity.attestation_key;
grant select on identity.published_key to gather_identity;
