-- Settles calls whose servers died, forgets answers that were kept for a day, and adds up the numbers for the metrics.
-- Workers call it, one of them at a time.
create or replace function llm.sweep(most integer) returns void
language sql
as $$
    select llm.settle_lost(null, most);
    delete from llm.answer a where a.call_id in (
        select o.call_id from llm.answer o where o.created_at < now() - interval '1 day' order by o.created_at limit most);
    with gone as (delete from llm.ended returning *)
    insert into llm.total as t (metric, label, number)
    select n.metric, n.label, sum(n.number) from gone g cross join lateral llm.numbers_of(g) n group by n.metric, n.label
    on conflict on constraint total_pkey do update set number = t.number + excluded.number
$$;
