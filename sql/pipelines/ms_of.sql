-- The milliseconds since 1970 of a time.
create or replace function pipelines.ms_of(at timestamptz) returns bigint
language sql immutable
as $$
    select floor(extract(epoch from at) * 1000)::bigint
$$;
grant execute on function pipelines.ms_of to gather_pipelines;
