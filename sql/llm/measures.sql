-- The measures of calls of models, in the form of `jobs.measures`. Times are in buckets, as histograms have them.
create or replace function llm.measures() returns setof jobs.measure
language plpgsql stable
as $$
begin
    return query with number as materialized (
        select n.metric, n.label, sum(n.number)::double precision as number
        from (select t.metric, t.label, t.number from llm.total t
            union all
            select n.metric, n.label, n.number from llm.ended e cross join lateral llm.numbers_of(e) n) n
        group by n.metric, n.label
    )
    select 'gather_llm_calls_total', 'Calls of models that ended, by status.', true, 'status', s.status, coalesce(n.number, 0)
    from unnest(array['succeeded', 'failed', 'cancelled', 'cut', 'lost']) s (status)
    left join number n on n.metric = 'calls' and n.label = s.status
    union all
    select 'gather_llm_cost_microusd_total', 'Cost of calls by model, in millionths of a dollar; `other` are models of accounts and teams, and calls without an answer.',
        true, 'model', n.label, n.number from number n where n.metric = 'cost'
    union all
    select 'gather_llm_input_tokens_total', 'Tokens of input by model.', true, 'model', n.label, n.number
    from number n where n.metric = 'input'
    union all
    select 'gather_llm_output_tokens_total', 'Tokens of output by model.', true, 'model', n.label, n.number
    from number n where n.metric = 'output'
    union all
    select h.name || '_bucket', h.help, true, 'le', n.label, n.number
    from (values ('overhead', 'gather_llm_overhead_seconds', 'Time of a call that the gateway itself took.'),
        ('first_token', 'gather_llm_first_token_seconds', 'Time until the first part of an answer.')) h (metric, name, help)
    join number n on n.metric = h.metric and n.label <> 'sum'
    union all
    select h.name || h.suffix, h.help, true, null, null, n.number / h.unit
    from (values ('overhead', 'sum', 'gather_llm_overhead_seconds', '_sum', 1000, 'Time that the gateway itself took in all calls.'),
        ('overhead', '+Inf', 'gather_llm_overhead_seconds', '_count', 1, 'Calls whose time in the gateway was measured.'),
        ('first_token', 'sum', 'gather_llm_first_token_seconds', '_sum', 1000, 'Time until the first parts of all answers.'),
        ('first_token', '+Inf', 'gather_llm_first_token_seconds', '_count', 1, 'Answers whose first part came.'))
        h (metric, label, name, suffix, unit, help)
    join number n on n.metric = h.metric and n.label = h.label
    union all
    select 'gather_llm_calls_running', 'Calls of models that are under way.', false, null, null, count(*)::double precision
    from llm.call c where c.status = 'running'
    union all
    select 'gather_llm_targets_cooling', 'Models of providers that get no calls for a while, since they failed or asked for a pause.',
        false, null, null, count(*)::double precision from llm.breaker b where b.until > clock_timestamp()
    union all
    select 'gather_llm_providers_down', 'Providers of models that have failed three times in a row.', false, null, null,
        count(*)::double precision from llm.provider p where p.down_since is not null;
end
$$;
