-- The revoked sessions and API keys whose tokens or remembered credentials may not have expired yet.
create or replace view identity.revocation as
select id as session_id, revoked_at from identity.session where revoked_at > now() - interval '20 minutes'
union all
select id, revoked_at from identity.api_key where revoked_at > now() - interval '20 minutes';
