-- What stands for a session where a request is signed: the key, so that it ends when the key is another one.
create or replace function identity.session_of_key(key bytea) returns uuid
language sql immutable
as $$
    select encode(substr(sha256(key), 1, 16), 'hex')::uuid
$$;
