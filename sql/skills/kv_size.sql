-- The size of a pair in its skill's quota: its bytes, and about the overhead of a row.
create or replace function skills.kv_size(bucket text, key text, value bytea) returns bigint
language sql immutable
as $$
    select coalesce(octet_length(bucket) + octet_length(key) + octet_length(value) + 64, 0)
$$;
