-- Sets what a subject may use, instead of what it might before. What it spent in its present periods is counted anew.
--   limits   {models, limits: [{period, limit_microusd}], requests_per_minute, tokens_per_minute, concurrency}
create or replace function llm.put_limits(subject text, limits jsonb) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    at timestamptz;
begin
    insert into llm.payer (subject) values (put_limits.subject) on conflict on constraint payer_pkey do nothing;
    perform llm.lock_payers(array[put_limits.subject], clock_timestamp());
    -- Calls that are being booked did not see this row, and would be missing in the sums. This waits for them.
    lock table llm.call in share row exclusive mode;
    at := clock_timestamp();
    update llm.payer p
    set models = case when jsonb_typeof(limits -> 'models') = 'array' then
            array(select jsonb_array_elements_text(limits -> 'models')) end,
        requests_per_minute = (limits ->> 'requests_per_minute')::integer,
        tokens_per_minute = (limits ->> 'tokens_per_minute')::bigint,
        concurrency = (limits ->> 'concurrency')::integer, updated_at = at
    where p.subject = put_limits.subject;
    delete from llm.budget b where b.subject = put_limits.subject;
    insert into llm.budget (subject, period, limit_microusd, since, spent_microusd)
    select put_limits.subject, l.period, l.limit_microusd, s.since, (
        select coalesce(sum(c.cost_microusd), 0) from llm.call c
        where c.payers @> array[put_limits.subject] and c.created_at >= s.since)
    from jsonb_to_recordset(coalesce(nullif(limits -> 'limits', 'null'), '[]')) l (period text, limit_microusd bigint)
    cross join lateral (select llm.period_start(l.period, at) as since) s;
end
$$;
grant execute on function llm.put_limits to gather_llm;
