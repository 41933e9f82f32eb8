-- Asks the breaker of a node whether an attempt of a step may be sent. Answers null if it may, which the step notes, or the
-- milliseconds until another one may try.
--   said  {"failures", "within_ms", "cooldown_ms", "on_open"}
create or replace function pipelines.pass_breaker(r pipelines.run, path text, said jsonb) returns double precision
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
        return greatest(1, extract(epoch from b.until - at) * 1000);
    elsif b.status <> 'closed' then
        -- One attempt is let through, and waited for no longer than an answer may take.
        update pipelines.breaker o set status = 'half-open', openings = o.openings + 1, until = at + interval '150 seconds'
        where o.pipeline_id = b.pipeline_id and o.node = b.node returning o.* into b;
    end if;
    update pipelines.step s set openings = b.openings where s.run_id = r.id and s.path = pass_breaker.path;
    return null;
end
$$;
