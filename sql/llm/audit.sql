-- Compares what each subject's budgets say was spent with the sum of its calls. Answers those that differ: none, unless
-- something is wrong.
create or replace function llm.audit() returns jsonb
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    answer jsonb;
begin
    perform llm.settle_lost(null, 1000);
    perform llm.lock_payers(array(select p.subject from llm.payer p), clock_timestamp());
    select jsonb_build_object(
        'calls', (select count(*) from llm.call c),
        'running', (select count(*) from llm.call c where c.status = 'running'),
        'cost_microusd', (select coalesce(sum(c.cost_microusd), 0) from llm.call c),
        'budgets', (select count(*) from llm.budget b),
        'differences', (select coalesce(jsonb_agg(jsonb_build_object('subject', b.subject, 'period', b.period,
                'spent_microusd', b.spent_microusd, 'sum_microusd', s.sum)), '[]')
            from llm.budget b cross join lateral (select coalesce(sum(c.cost_microusd), 0) as sum from llm.call c
                where c.payers @> array[b.subject] and c.created_at >= b.since) s
            where s.sum <> b.spent_microusd))
    into answer;
    return answer;
end
$$;
grant execute on function llm.audit to gather_llm;
