-- Says that a call is under way still: which attempt, at which target, and how much output came. Reserves more if it may,
-- and answers how much output is reserved; null: the call is not under way any more.
create or replace function llm.note(call uuid, attempt integer, target jsonb, output bigint, wanted bigint) returns bigint
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    at timestamptz := clock_timestamp();
    c llm.call;
    known jsonb;
    more bigint;
begin
    select k.* into c from llm.call k where k.id = note.call and k.status = 'running';
    if not found then
        return null;
    end if;
    known := coalesce(target -> 'price', c.price);
    more := c.reserved_output;
    if wanted > c.reserved_output then
        perform llm.lock_payers(c.payers, at);
        more := least(wanted, coalesce(llm.affordable(
            jsonb_build_array(jsonb_build_object('price', known)), c.input_tokens, llm.left_of(c.payers) + c.reserved_microusd), wanted));
        more := greatest(more, c.reserved_output);
    end if;
    update llm.call k
    set attempt = note.attempt, provider_id = coalesce((target ->> 'provider_id')::uuid, k.provider_id),
        provider = coalesce(target ->> 'provider', k.provider), model = coalesce(target ->> 'model', k.model),
        price = known, output_tokens = greatest(k.output_tokens, note.output), reserved_output = more,
        reserved_microusd = greatest(k.reserved_microusd, llm.cost(known, k.input_tokens, 0, 0, more)),
        lease = at + interval '30 seconds'
    where k.id = c.id and k.status = 'running';
    return case when found then more end;
end
$$;
grant execute on function llm.note to gather_llm;
