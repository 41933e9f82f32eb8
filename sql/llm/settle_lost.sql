-- Ends calls whose server died: they cost what they had reserved. One that nothing was sent for, or that waited between two
-- attempts, was left by its client, and costs nothing. Whoever meets them calls this, with the payers that it is about to
-- lock; null: of anybody.
create or replace function llm.settle_lost(subjects text[], most integer default 20) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    at timestamptz := clock_timestamp();
    lost llm.call[];
    c llm.call;
begin
    select array_agg(l) into lost from (
        select k.* from llm.call k
        where k.status = 'running' and k.lease < at and (subjects is null or k.payers && subjects)
        order by k.lease limit most) l;
    perform llm.lock_payers(coalesce(settle_lost.subjects, '{}') || coalesce((
        select array_agg(distinct p) from unnest(lost) l, unnest(l.payers) p), '{}'), at);
    foreach c in array coalesce(lost, '{}') loop
        perform llm.book(k.id, case when k.attempt > 0 then 'lost' else 'cancelled' end,
            case when k.attempt > 0 then k.reserved_microusd else 0 end, at) from llm.call k
        where k.id = c.id and k.status = 'running' and k.lease < at;
    end loop;
end
$$;
grant execute on function llm.settle_lost to gather_llm;
