-- A value in a list of one, as it is shown; null if it is too large for a list of many.
create or replace function pipelines.shown(value jsonb) returns jsonb
language sql immutable
as $$
    select case when octet_length(coalesce(value, 'null')::text) <= 16384 then jsonb_build_array(value) end
$$;
grant execute on function pipelines.shown to gather_pipelines;
