-- The order of posts in `hot`: the time of posting in milliseconds, and twelve and a half hours more or less for
-- each power of ten of the score. It changes with votes alone and not with time, so an index can hold it.
create or replace function social.hot(created_at timestamptz, score bigint) returns bigint
language sql immutable
as $$
    select (extract(epoch from created_at) * 1000
        + sign(score) * log(10.0, greatest(abs(score), 1)::numeric) * 45000000)::bigint
$$;
