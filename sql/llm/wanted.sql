-- The output, in tokens, that is reserved at first: all that a request may get, and of a stream, which reserves on as it runs, a part.
create or replace function llm.wanted(asked jsonb, targets jsonb) returns bigint
language sql immutable
as $$
    select least(
        coalesce((asked ->> 'output')::bigint, min((t ->> 'max_output')::bigint), 4096),
        max((t ->> 'max_output')::bigint),
        case when (asked ->> 'stream')::boolean then 1024 end)
    from jsonb_array_elements(targets) t
$$;
