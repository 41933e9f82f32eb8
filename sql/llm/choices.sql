-- The targets of a call, with prices, as the gateway is told of them; those that the payers' limits do not allow are left
-- out. `cooling`: until when a target gets no calls.
create or replace function llm.choices(account uuid, name text, payers text[])
returns table (place integer, alias_id uuid, provider_id uuid, provider text, model text, price jsonb, cooling timestamptz,
    reason text, target jsonb)
language sql stable
as $$
    select r.place, r.alias_id, p.id, p.name, r.model, c.price, b.until, b.reason,
        jsonb_build_object('provider_id', p.id, 'provider', p.name, 'model', r.model, 'protocol', p.protocol, 'url', p.url,
            'secret_id', p.secret_id, 'environment', p.environment, 'price', c.price,
            'max_output', least(r.max_output_tokens, (c.price ->> 'max_output')::integer),
            'is_bounded', r.max_output_tokens is not null, 'silence_ms', r.silence_ms, 'total_ms', r.total_ms)
    from llm.resolve(account, name) r join llm.provider p on p.id = r.provider_id and not p.drain
    cross join lateral (select llm.price_of(p.id, r.model) as price) c
    left join llm.breaker b on b.provider_id = p.id and b.model = r.model and b.until > clock_timestamp()
    where llm.may_use(payers, p.name || '/' || r.model)
$$;
