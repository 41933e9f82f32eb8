-- Tells whom it concerns that a budget is nearly, or wholly, spent; once for each period.
create or replace function llm.tell_budget(payers text[]) returns void
language plpgsql
as $$
declare
    b record;
begin
    for b in
        update llm.budget g set told = n.share
        from (select u.subject, u.period, case when u.spent_microusd >= u.limit_microusd then 100 else 80 end as share
            from llm.budget u
            where u.subject = any(payers) and u.spent_microusd * 100 >= u.limit_microusd * 80) n
        where g.subject = n.subject and g.period = n.period and g.told < n.share
        returning g.subject, g.period, g.limit_microusd, g.spent_microusd, g.told
    loop
        if b.subject ~ '^(account|team):' then
            perform events.emit(array[b.subject], case b.told when 100 then 'llm.limit.reached' else 'llm.limit.near' end,
                jsonb_build_object('subject', b.subject, 'period', b.period, 'limit_microusd', b.limit_microusd,
                    'spent_microusd', b.spent_microusd), subject => b.subject);
        end if;
    end loop;
end
$$;
