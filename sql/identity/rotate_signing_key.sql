-- Retires the signing key, and records that; the next token gets a new one. For the operator: no function may
-- call it.
create or replace function identity.rotate_signing_key() returns void
language sql
as $$
    update identity.signing_key set retired_at = now(), sealed = null where retired_at is null;
    select audit.record(null, 'signing-key.rotated', null, true, null, null)
$$;
