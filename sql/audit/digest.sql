-- The hash of an entry after the one with the hash `previous`: SHA-256 over it and over all that the
-- entry says, as JSON with its keys in PostgreSQL's order and the time in microseconds.
create or replace function audit.digest(previous bytea, entry audit.entry) returns bytea
language sql immutable
as $$
    select sha256(previous || convert_to(jsonb_build_object(
        'id', entry.id, 'at', (extract(epoch from entry.at) * 1000000)::bigint,
        'actor', entry.actor_id, 'action', entry.action, 'subject', entry.subject,
        'allowed', entry.allowed, 'address', entry.address, 'request', entry.request_id,
        'detail', entry.detail, 'chain', entry.chain, 'position', entry.position)::text, 'UTF8'))
$$;
