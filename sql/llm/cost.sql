-- What tokens cost in millionths of a dollar, rounded up. The classes are disjoint here: input that was read from a cache,
-- input that was written to one, and other input. All of the input decides which tier of prices applies.
create or replace function llm.cost(price jsonb, input bigint, cached bigint, written bigint, output bigint) returns bigint
language sql immutable
as $$
    select coalesce(ceil((
        greatest(input - cached - written, 0) * (t.p ->> 'input')::numeric
        + cached * coalesce(t.p ->> 'cached_input', t.p ->> 'input')::numeric
        + written * coalesce(t.p ->> 'cache_write', t.p ->> 'input')::numeric
        + output * (t.p ->> 'output')::numeric) / 1000000)::bigint, 0)
    from (select case when input > (price #>> '{above,tokens}')::bigint then jsonb_build_object(
            'input', price #> '{above,input_microusd}',
            'cached_input', coalesce(price #> '{above,cached_input_microusd}', price #> '{above,input_microusd}'),
            'cache_write', coalesce(price #> '{above,cache_write_microusd}', price #> '{above,input_microusd}'),
            'output', price #> '{above,output_microusd}')
        else price end) t (p)
$$;
