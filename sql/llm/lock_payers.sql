-- Lines up with all other calls that count for these subjects, and begins their new periods. Every statement that changes
-- what was spent calls this first and takes all locks here, in one order.
create or replace function llm.lock_payers(subjects text[], at timestamptz) returns void
language plpgsql
as $$
begin
    perform from (select p.subject from llm.payer p where p.subject = any(subjects) order by p.subject for update) l;
    update llm.budget b set since = llm.period_start(b.period, at), spent_microusd = 0, told = 0
    where b.subject = any(subjects) and b.since < llm.period_start(b.period, at);
    update llm.payer p set minute = at, requests = 0, tokens = 0
    where p.subject = any(subjects) and p.minute < at - interval '1 minute'
    and num_nonnulls(p.requests_per_minute, p.tokens_per_minute) > 0;
end
$$;
