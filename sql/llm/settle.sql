-- Ends a call with what it used. Whether it was under way; if not, it was settled by somebody else and nothing changes.
--   told   {status, provider_id, provider, model, price, attempts, input, cached, written, output, reasoning, estimated, error,
--          first_token_ms, overhead_ms, duration_ms, answer_digest, secret_version, keep: {headers, body},
--          capture: {request, answer}}
create or replace function llm.settle(call uuid, told jsonb) returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    at timestamptz := clock_timestamp();
    c llm.call;
    input bigint := (told ->> 'input')::bigint;
    cached bigint := least((told ->> 'cached')::bigint, input);
    written bigint := least((told ->> 'written')::bigint, input - cached);
    output bigint := (told ->> 'output')::bigint;
    -- The tokens that were counted against the limits of a minute as the call began.
    counted bigint;
begin
    select k.* into c from llm.call k where k.id = settle.call and k.status = 'running';
    if not found then
        return false;
    end if;
    counted := c.input_tokens;
    perform llm.lock_payers(c.payers, at);
    update llm.call k
    set provider_id = coalesce((told ->> 'provider_id')::uuid, k.provider_id), provider = coalesce(told ->> 'provider', k.provider),
        model = coalesce(told ->> 'model', k.model), attempts = told -> 'attempts', input_tokens = input,
        cached_tokens = cached, cache_write_tokens = written, output_tokens = output,
        reasoning_tokens = least((told ->> 'reasoning')::bigint, output), estimated = (told ->> 'estimated')::boolean,
        price = coalesce(nullif(told -> 'price', 'null'), k.price), error = left(told ->> 'error', 300),
        first_token_ms = (told ->> 'first_token_ms')::integer, overhead_ms = (told ->> 'overhead_ms')::integer,
        duration_ms = (told ->> 'duration_ms')::integer, answer_digest = told ->> 'answer_digest',
        secret_version = (told ->> 'secret_version')::integer
    where k.id = c.id and k.status = 'running' returning * into c;
    if not found then
        return false;
    end if;
    if told ? 'keep' then
        update llm.answer a set headers = told #> '{keep,headers}', body = told #>> '{keep,body}' where a.call_id = c.id;
    end if;
    if told ? 'capture' then
        insert into llm.capture (call_id, request, answer)
        values (c.id, told #>> '{capture,request}', told #>> '{capture,answer}');
    end if;
    update llm.payer p set tokens = greatest(p.tokens + input + output - counted, 0)
    where p.subject = any(c.payers) and p.tokens_per_minute is not null and p.minute <= c.created_at;
    perform llm.recover(c.provider_id, c.model) where told ->> 'status' = 'succeeded';
    return llm.book(c.id, told ->> 'status', llm.cost(c.price, input, cached, written, output), at);
end
$$;
grant execute on function llm.settle to gather_llm;
