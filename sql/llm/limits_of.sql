-- The limits of a subject, with what is spent and reserved; null: it has none.
create or replace function llm.limits_of(subject text) returns jsonb
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select jsonb_build_object('subject', p.subject, 'models', p.models, 'requests_per_minute', p.requests_per_minute,
        'tokens_per_minute', p.tokens_per_minute, 'concurrency', p.concurrency, 'running', (
            select count(*) from llm.call c where c.status = 'running' and c.payers @> array[p.subject]),
        'limits', (
            select coalesce(jsonb_agg(jsonb_build_object('period', b.period, 'limit_microusd', b.limit_microusd,
                'spent_microusd', case when b.since < s.start then 0 else b.spent_microusd end,
                'reserved_microusd', llm.reserved(b.subject, s.start),
                'resets_at', case b.period
                    when 'day' then to_char((s.start + interval '1 day') at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')
                    when 'month' then to_char((s.start at time zone 'UTC') + interval '1 month', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') end)
                order by b.period), '[]')
            from llm.budget b cross join lateral (select llm.period_start(b.period, clock_timestamp()) as start) s
            where b.subject = p.subject))
    from llm.payer p where p.subject = limits_of.subject
$$;
grant execute on function llm.limits_of to gather_llm;
