-- A target failed through its own fault. One that has too much to do gets no calls for as long as it asks; another one gets
-- none for a while from the third time in a row on. Of two deadlines the later one counts.
--   kind    `rate` or `failed`
--   wait    how many milliseconds the target wants to be left alone; null: it does not say
create or replace function llm.fault(provider uuid, model text, kind text, wait bigint) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    at timestamptz := clock_timestamp();
    b llm.breaker;
    p llm.provider;
    pause interval;
begin
    insert into llm.breaker (provider_id, model, failures, reason) values (provider, fault.model, 1, kind)
    on conflict on constraint breaker_pkey do update set failures = llm.breaker.failures + 1, reason = kind, changed_at = at
    returning * into b;
    pause := case
        when kind = 'rate' then least(coalesce(wait, 1000 * power(2, least(b.failures, 7) - 1)::bigint), 86400000) * interval '1 millisecond'
        when b.failures >= 3 or wait is not null then greatest(
            least(interval '5 seconds' * power(2, least(b.failures, 9) - 3), interval '5 minutes'),
            least(coalesce(wait, 0), 86400000) * interval '1 millisecond') end;
    update llm.breaker k set until = greatest(k.until, at + pause)
    where k.provider_id = provider and k.model = fault.model and pause is not null;
    if kind = 'failed' and b.failures >= 3 then
        update llm.provider o set down_since = at where o.id = provider and o.down_since is null returning * into p;
        if found then
            perform llm.tell_provider(p, 'llm.provider.down', kind);
        end if;
    end if;
exception when foreign_key_violation then
    -- It was deleted meanwhile.
    null;
end
$$;
grant execute on function llm.fault to gather_llm;
