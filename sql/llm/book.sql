-- Ends a call that is under way, and adds its cost to what its payers spent. Whether it was under way. The payers are
-- locked already.
create or replace function llm.book(ended uuid, outcome text, cost bigint, at timestamptz) returns boolean
language plpgsql
as $$
declare
    c llm.call;
begin
    update llm.call k
    set status = outcome, cost_microusd = cost, reserved_microusd = 0, reserved_output = 0, ended_at = at, lease = null,
        duration_ms = coalesce(k.duration_ms, (extract(epoch from at - k.created_at) * 1000)::integer)
    where k.id = ended and k.status = 'running' returning * into c;
    if not found then
        return false;
    end if;
    update llm.budget b set spent_microusd = b.spent_microusd + cost
    where b.subject = any(c.payers) and b.since <= c.created_at and cost > 0;
    delete from llm.answer a where a.call_id = ended and a.body is null;
    -- What the purse set aside was for no model.
    insert into llm.ended (status, model, input_tokens, output_tokens, cost_microusd, overhead_ms, first_token_ms)
    select c.status, coalesce((select c.provider || '/' || c.model from llm.provider p
            where p.id = c.provider_id and p.owner = 'platform' and c.status in ('succeeded', 'cut')), 'other'),
        c.input_tokens, c.output_tokens, c.cost_microusd, c.overhead_ms, c.first_token_ms
    where c.route <> 'purse';
    perform llm.tell_budget(c.payers);
    return true;
end
$$;
