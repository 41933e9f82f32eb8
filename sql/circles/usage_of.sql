-- What the turns of a conversation have used, with those of agents that they asked: {"turns", "input_tokens",
-- "output_tokens", "cost_microusd"}.
create or replace function circles.usage_of(conversation uuid) returns jsonb
language sql stable
as $$
    with recursive family as (
        select t.id from circles.turn t where t.channel_id = usage_of.conversation
        union all
        select t.id from family f join circles.turn t on t.parent_id = f.id)
    select jsonb_build_object('turns', count(distinct f.id), 'input_tokens', coalesce(sum(c.input_tokens), 0),
        'output_tokens', coalesce(sum(c.output_tokens), 0), 'cost_microusd', coalesce(sum(c.cost_microusd), 0))
    from family f left join llm.call c on c.parent = 'turn:' || f.id
$$;
