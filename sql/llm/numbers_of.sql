-- What a call that ended adds to the totals of the metrics. Of the times it adds one to each bucket that it lies in.
create or replace function llm.numbers_of(ended llm.ended) returns table (metric text, label text, number bigint)
language plpgsql immutable
as $$
begin
    return query values ('calls', ended.status, 1::bigint), ('cost', ended.model, ended.cost_microusd),
        ('input', ended.model, ended.input_tokens), ('output', ended.model, ended.output_tokens)
    union all
    select t.metric, b.label, b.number
    from (values ('overhead', ended.overhead_ms, array[1, 2, 3, 5, 10, 25, 50, 100, 1000]),
        ('first_token', ended.first_token_ms, array[100, 250, 500, 1000, 2500, 5000, 15000, 60000, 300000])) t (metric, ms, buckets)
    cross join lateral (
        select (le / 1000.0)::double precision::text, (t.ms <= le)::integer::bigint from unnest(t.buckets) le
        union all values ('+Inf', 1::bigint), ('sum', t.ms::bigint)) b (label, number)
    where t.ms is not null;
end
$$;
