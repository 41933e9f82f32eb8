-- What was revoked, and whose tokens or memories may not have expired yet: sessions and API keys.
create or replace view identity.revocation as
select id as session_id, revoked_at from identity.session where revoked_at > now() - interval '20 minutes'
union all
select id, revoked_at from identity.api_key where revoked_at > now() - interval '20 minutes';
