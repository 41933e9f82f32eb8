-- The output, in tokens, that the dearest of the targets gives for a sum, after the input is paid; negative: not even the input is.
create or replace function llm.affordable(targets jsonb, input bigint, sum bigint) returns bigint
language sql immutable
as $$
    select min(case
        when c.fixed > 0 and sum < c.fixed then -1
        when c.million = 0 then 1000000000
        else least(floor((sum - c.fixed)::numeric * 1000000 / c.million), 1000000000) end)::bigint
    from jsonb_array_elements(targets) t
    cross join lateral (
        select llm.cost(t -> 'price', input, 0, 0, 0) as fixed,
            llm.cost(t -> 'price', input, 0, 0, 1000000) - llm.cost(t -> 'price', input, 0, 0, 0) as million) c
$$;
