-- What a pair counts of its skill's quota: what it is, and about what a row takes.
create or replace function skills.kv_size(bucket text, key text, value bytea) returns bigint
language sql immutable
as $$
    select coalesce(octet_length(bucket) + octet_length(key) + octet_length(value) + 64, 0)
$$;
