-- The keys with which functions verify tokens. A retired key stays until the last token that it signed
-- has expired: 15 minutes, and one more for a signature that was under way.
create or replace view identity.verification_key as
select kid, encode(public_key, 'base64') as public_key, retired_at + interval '16 minutes' as expires_at
from identity.signing_key
where retired_at is null or retired_at > now() - interval '16 minutes';
