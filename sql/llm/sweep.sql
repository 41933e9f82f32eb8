-- Settles calls whose servers died, and forgets answers that were kept for a day. Workers call it.
create or replace function llm.sweep(most integer) returns void
language sql
as $$
    select llm.settle_lost(null, most);
    delete from llm.answer a where a.call_id in (
        select o.call_id from llm.answer o where o.created_at < now() - interval '1 day' order by o.created_at limit most)
$$;
