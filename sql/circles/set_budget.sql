-- Limits what a subject's turns may spend: {limit_microusd, period}. A null of JSON takes the limit away; null: nothing changes.
create or replace function circles.set_budget(subject text, budget jsonb) returns void
language sql security definer set search_path = pg_catalog, pg_temp
as $$
    select llm.put_limits(set_budget.subject, jsonb_build_object('limits',
        case when budget = 'null' then '[]' else jsonb_build_array(budget) end))
    where budget is not null
$$;
