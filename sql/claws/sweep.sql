-- Ends or rests the claws whose time is over, and does what is wanted and nobody does. Returns their number.
create or replace function claws.sweep() returns integer
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    c claws.claw;
    wanted text;
    count integer := 0;
begin
    for c in
        select x.* from claws.claw x
        where x.expires_at < now() and x.desired in ('running', 'paused') order by x.id limit 1000 for update skip locked
    loop
        wanted := case c.on_expiry when 'delete' then 'deleted'
            when 'pause' then case when c.status in ('running', 'paused') then 'paused' else 'stopped' end else 'stopped' end;
        continue when c.desired = wanted;
        perform claws.want(c.id, wanted, 'expired', reason => 'expired');
        count := count + 1;
    end loop;
    for c in
        select x.* from claws.claw x
        where x.idle_ms is not null and x.status = 'running' and x.desired = 'running'
        -- A program of its own may wait for anything.
        and x.backend = 'wasm'
        and claws.idle_since(x) < now() - x.idle_ms * interval '1 millisecond' order by x.id limit 1000 for update skip locked
    loop
        perform claws.want(c.id, 'paused', 'idle', reason => 'idle');
        count := count + 1;
    end loop;
    -- The end of a job is not noted while its claw is held.
    perform claws.job_ended(x.job_id) from claws.claw x join jobs.job j on j.id = x.job_id
    where x.status not in ('failed', x.desired) and j.status in ('dead', 'cancelled');
    for c in
        select x.* from claws.claw x
        where x.job_id is null and x.status not in ('failed', x.desired) order by x.id limit 1000 for update skip locked
    loop
        perform claws.want(c.id, c.desired, 'again', reason => c.reason);
        count := count + 1;
    end loop;
    -- A turn may begin while its claw is about to rest.
    for c in
        select x.* from claws.claw x
        where x.desired = 'paused' and x.reason = 'idle' and exists (
            select from circles.turn t where t.agent_id = x.id and t.finished_at is null and t.status = 'queued')
        order by x.id limit 1000 for update skip locked
    loop
        perform claws.want(c.id, 'running', 'woken');
        count := count + 1;
    end loop;
    -- Looks at containers may be lost too. What is still being made is not looked for.
    perform claws.look_again(x.id, interval '0') from claws.claw x
    where x.backend <> 'wasm' and x.desired = 'running' and x.status in ('provisioning', 'running', 'unhealthy')
    and x.instance is not null and x.look_at < now() - interval '1 minute'
    and not (x.status = 'provisioning' and exists (
        select from jobs.job j where j.id = x.job_id and j.finished_at is null));
    return count;
end
$$;
grant execute on function claws.sweep() to gather_claw_provision;
