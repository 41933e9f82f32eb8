-- Begins a call: takes the locks of all who pay for it, counts it, reserves what it may cost, and answers the targets to
-- try. Or `{refused, …}`, and then nothing was counted; or `{kept, …}`, the answer of the same request before.
--   asked   {account, key, model, route, purpose, parent, pays, input, output, stream, digest, repeat: {key, fingerprint}}
create or replace function llm.begin(asked jsonb) returns jsonb
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    at timestamptz;
    account uuid := (asked ->> 'account')::uuid;
    input bigint := (asked ->> 'input')::bigint;
    named text[] := array(select jsonb_array_elements_text(coalesce(asked -> 'pays', '[]')));
    payers text[];
    targets llm.chosen;
    refused jsonb;
    may_spend bigint;
    wanted bigint;
    granted bigint;
    call uuid := platform.uuid_v7();
    a llm.alias;
begin
    if exists (select from unnest(named) n where not llm.may_pay(account, n)) then
        return '{"refused": "payer-refused"}';
    end if;
    payers := llm.payers_of(account, (asked ->> 'key')::uuid, named,
        array(select r.provider_id from llm.resolve(account, asked ->> 'model') r));
    -- Locks the payers too.
    perform llm.settle_lost(payers);
    at := clock_timestamp();
    -- A kept answer is told though its target gets no calls at the moment.
    refused := llm.repeated(account, asked, payers);
    if refused is not null then
        return refused;
    end if;
    targets := llm.choose(account, asked ->> 'model', payers);
    if targets.refused is not null then
        return targets.refused;
    end if;
    refused := llm.over_limit(payers, input, at);
    if refused is not null then
        return refused;
    end if;
    may_spend := llm.left_of(payers);
    wanted := llm.wanted(asked, targets.targets);
    granted := case when may_spend is null then wanted else least(wanted, llm.affordable(targets.targets, input, may_spend)) end;
    if granted < 0 or granted = 0 and wanted > 0 then
        return jsonb_build_object('refused', 'budget-exhausted');
    end if;

    select * into a from llm.alias l where l.id = targets.alias_id;
    update llm.payer p set requests = p.requests + 1, tokens = p.tokens + input
    where p.subject = any(payers) and num_nonnulls(p.requests_per_minute, p.tokens_per_minute) > 0;
    insert into llm.call (id, account_id, key_id, payers, route, alias, provider_id, provider, model, purpose, parent,
        attempt, input_tokens, price, reserved_output, reserved_microusd, request_digest, lease, created_at)
    select call, account, (asked ->> 'key')::uuid, payers, asked ->> 'route', a.name, (t ->> 'provider_id')::uuid,
        t ->> 'provider', t ->> 'model', asked ->> 'purpose', asked ->> 'parent', 0, input, t -> 'price', granted,
        (select max(llm.cost(e -> 'price', input, 0, 0, granted)) from jsonb_array_elements(targets.targets) e),
        asked ->> 'digest', at + interval '30 seconds', at
    from (select targets.targets -> 0) f (t);
    if asked ? 'repeat' then
        insert into llm.answer (account_id, key, fingerprint, call_id)
        values (account, asked #>> '{repeat,key}', asked #>> '{repeat,fingerprint}', call);
    end if;
    return jsonb_build_object('call', call, 'targets', targets.targets, 'granted', granted, 'clamped', granted < wanted,
        'metered', may_spend is not null, 'retries', coalesce(a.retries, 2), 'alias', a.name,
        'retry_uncertain', coalesce(a.retry_uncertain, false), 'drop_unsupported', coalesce(a.unsupported = 'drop', false),
        'capture', coalesce(a.capture = 'full', false));
end
$$;
grant execute on function llm.begin to gather_llm;
