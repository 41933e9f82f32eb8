-- Asks the breaker of a node whether an attempt of a step may be sent. Answers {"openings"} if it may: how often the breaker
-- has opened; else {"open_ms"}: the milliseconds until another one may try.
create or replace function pipelines.pass_breaker(r pipelines.run, path text) returns jsonb
language plpgsql
as $$
declare
    b pipelines.breaker;
    at timestamptz := clock_timestamp();
begin
    insert into pipelines.breaker (pipeline_id, node) values (r.pipeline_id, pipelines.node_of(path))
    on conflict on constraint breaker_pkey do nothing;
    select o.* into b from pipelines.breaker o
    where o.pipeline_id = r.pipeline_id and o.node = pipelines.node_of(path) for update;
    if b.until > at then
        return jsonb_build_object('open_ms', greatest(1, extract(epoch from b.until - at) * 1000));
    elsif b.status <> 'closed' then
        -- One attempt is let through, and waited for no longer than an answer may take.
        update pipelines.breaker o set status = 'half-open', openings = o.openings + 1, until = at + interval '150 seconds'
        where o.pipeline_id = b.pipeline_id and o.node = b.node returning o.* into b;
    end if;
    return jsonb_build_object('openings', b.openings);
end
$$;
