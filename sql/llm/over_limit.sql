-- Why a call has to wait: as many as its payers may make in a minute, or at once, are there already. Null: it need not.
create or replace function llm.over_limit(payers text[], input bigint, at timestamptz) returns jsonb
language sql stable
as $$
    select jsonb_build_object('refused', 'rate-limited', 'retry_after', max(w.seconds)) from (
        select greatest(ceil(extract(epoch from p.minute + interval '1 minute' - at)), 1)::integer as seconds
        from llm.payer p
        where p.subject = any(payers)
        and (p.requests >= p.requests_per_minute or p.tokens + input > p.tokens_per_minute)
        union all
        select 1 from llm.payer p
        where p.subject = any(payers) and p.concurrency <= (
            select count(*) from llm.call c where c.status = 'running' and c.payers @> array[p.subject])
    ) w having count(*) > 0
$$;
