-- Tells the breaker of a node how an attempt of a step has ended. What began before it opened counts for nothing.
create or replace function pipelines.tell_breaker(r pipelines.run, path text, said jsonb, openings integer, fails boolean)
returns void
language plpgsql
as $$
declare
    b pipelines.breaker;
    at timestamptz := clock_timestamp();
    failed timestamptz[];
begin
    select o.* into b from pipelines.breaker o
    where o.pipeline_id = r.pipeline_id and o.node = pipelines.node_of(path) and o.openings = tell_breaker.openings
    for update;
    if not found or b.status = 'open' or (b.status = 'closed' and not fails and b.failed_at = '{}') then
        return;
    end if;
    failed := case when fails then array(select f from unnest(b.failed_at || at) f
        where f > at - (said ->> 'within_ms')::bigint * interval '1 millisecond'
        order by f desc limit (said ->> 'failures')::integer) else '{}' end;
    if fails and (b.status = 'half-open' or cardinality(failed) >= (said ->> 'failures')::integer) then
        update pipelines.breaker o set status = 'open', openings = o.openings + 1, failed_at = '{}',
            until = at + (said ->> 'cooldown_ms')::bigint * interval '1 millisecond'
        where o.pipeline_id = b.pipeline_id and o.node = b.node;
    elsif b.status = 'half-open' then
        update pipelines.breaker o set status = 'closed', failed_at = '{}', until = null
        where o.pipeline_id = b.pipeline_id and o.node = b.node;
    elsif fails then
        update pipelines.breaker o set failed_at = failed where o.pipeline_id = b.pipeline_id and o.node = b.node;
    end if;
end
$$;
