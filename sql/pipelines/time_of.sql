-- The time of so many milliseconds since 1970.
create or replace function pipelines.time_of(ms bigint) returns timestamptz
language sql immutable
as $$
    select (timestamp '1970-01-01 00:00:00' + ms * interval '1 millisecond') at time zone 'UTC'
$$;
grant execute on function pipelines.time_of to gather_pipelines;
