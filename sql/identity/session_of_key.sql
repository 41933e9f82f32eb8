-- The id that stands for a session in a signed request. It follows from the key, and so ends with the key.
create or replace function identity.session_of_key(key bytea) returns uuid
language sql immutable
as $$
    select encode(substr(sha256(key), 1, 16), 'hex')::uuid
$$;
