-- What the models of a claw were asked for and have cost, by day and model, the newest first.
create or replace function claws.usage_of(claw uuid, before date, model text, most bigint)
returns table (day date, model_name text, calls bigint, input_tokens bigint, output_tokens bigint, cost_microusd bigint)
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select u.* from (
        select (c.created_at at time zone 'utc')::date as day, coalesce(c.model, '') as model, count(*) as calls,
            sum(c.input_tokens)::bigint as input_tokens, sum(c.output_tokens)::bigint as output_tokens,
            sum(c.cost_microusd)::bigint as cost_microusd
        from llm.call c
        where c.payers @> array['account:' || claw] and (usage_of.before is null or c.created_at < (usage_of.before + 1)::timestamp at time zone 'utc')
        group by 1, 2
    ) u
    where usage_of.before is null or (u.day, u.model) < (usage_of.before, usage_of.model)
    order by u.day desc, u.model desc limit most
$$;
grant execute on function claws.usage_of(uuid, date, text, bigint) to gather_claws;
