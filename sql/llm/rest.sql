-- Says that an attempt of a call has ended, and which target is asked next. Until its request is sent, the call is in
-- nobody's hands: if its client leaves now, it costs nothing. Answers for how many milliseconds that target gets no calls;
-- null: the call is not under way any more.
--   attempt   the number of the attempt that ended
create or replace function llm.rest(call uuid, attempt integer, target jsonb) returns bigint
language sql security definer set search_path = pg_catalog, pg_temp
as $$
    update llm.call k
    set attempt = -rest.attempt, provider_id = (target ->> 'provider_id')::uuid, provider = target ->> 'provider',
        model = target ->> 'model', price = coalesce(target -> 'price', k.price),
        reserved_microusd = greatest(k.reserved_microusd,
            llm.cost(coalesce(target -> 'price', k.price), k.input_tokens, 0, 0, k.reserved_output)),
        lease = clock_timestamp() + interval '20 seconds'
    where k.id = rest.call and k.status = 'running'
    returning coalesce((
        select greatest(ceil(extract(epoch from b.until - clock_timestamp()) * 1000), 0)::bigint from llm.breaker b
        where b.provider_id = (target ->> 'provider_id')::uuid and b.model = target ->> 'model'), 0)
$$;
grant execute on function llm.rest to gather_llm;
