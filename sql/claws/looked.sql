-- Takes what the provisioner says about the container of a claw: one that ended, or was not heard of for 30 seconds, is
-- begun anew after 1, 2, 4, 8 and 16 seconds, and has failed then. Has it looked at again.
--   at     when it was to be looked at
--   state  of the container: created, running, paused or exited; null: there is none; unknown: nobody answers
--   lines  {at, stream, text} since the last time
create or replace function claws.looked(claw uuid, instance integer, at timestamptz, state text, reason text,
    lines jsonb) returns text
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    c claws.claw;
    last_lines text;
    cause text;
    again interval;
    ends timestamptz;
begin
    select x.* into c from claws.claw x where x.id = claw and x.instance = looked.instance
    and x.look_at = looked.at for update;
    if c.id is null or c.desired <> 'running' or c.status not in ('provisioning', 'running', 'unhealthy') then
        return c.status;
    end if;
    perform claws.keep_lines(claw, lines);
    select e.expires_at into ends from claws.enrolment e where e.claw_id = claw and c.status = 'provisioning';
    ends := coalesce(ends, c.last_seen_at + interval '30 seconds', '-infinity');
    cause := case when state = 'exited' then 'ended: ' || coalesce(reason, 'exited') when state is null then 'its container is gone'
        when ends > clock_timestamp() then null
        when c.status = 'provisioning' then 'not enrolled in time' else 'not heard of for 30 seconds' end;
    if cause is null then
        -- What is due before the next look is looked at in that second.
        perform claws.look_again(claw, least(interval '10 seconds', ends - clock_timestamp() + interval '50 milliseconds'));
        return c.status;
    end if;
    select string_agg(l.text, E'\n' order by l.at, l.number) into last_lines from (
        select x.* from claws.line x where x.claw_id = claw order by x.at desc, x.number desc limit 20) l;
    if c.status = 'running' then
        c := claws.move(claw, 'unhealthy', cause, cause);
        update claws.claw x set unwell_since = clock_timestamp() where x.id = claw returning x.* into c;
    elsif c.status = 'provisioning' then
        update claws.claw x set unwell_since = coalesce(x.unwell_since, clock_timestamp()) where x.id = claw returning x.* into c;
    end if;
    -- What never ran would not run the next time.
    if c.restarts >= 5 or c.restarts = 0 and c.status = 'provisioning' then
        perform claws.give_up(claw, cause, last_lines);
        return 'failed';
    end if;
    again := c.unwell_since + interval '1 second' * power(2, c.restarts) - clock_timestamp();
    if again > interval '0' then
        perform claws.look_again(claw, again);
        return c.status;
    end if;
    update claws.claw x set restarts = x.restarts + 1, unwell_since = null where x.id = claw;
    perform claws.want(claw, 'running', cause, true);
    return 'requested';
end
$$;
grant execute on function claws.looked(uuid, integer, timestamptz, text, text, jsonb) to gather_claw_provision;
