-- A claw in a container says that it is well, or what it is doing. Returns {desired, generation}; null: there is no such claw.
-- An older container's program, which hears here that it has to end, does not count for the newest one until that has enrolled.
create or replace function claws.heartbeat(claw uuid, note text) returns jsonb
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    c claws.claw;
    was text;
    is_newest boolean;
begin
    select x.* into c from claws.claw x where x.id = claw and x.backend <> 'wasm' for update;
    if c.id is null then
        return null;
    end if;
    was := c.status;
    is_newest := exists (select from claws.enrolment e
        where e.claw_id = claw and e.generation = c.instance and e.used_at is not null);
    if is_newest and c.desired = 'running' and c.status in ('provisioning', 'unhealthy') then
        c := claws.move(claw, 'running', coalesce(note, 'heartbeat'));
        perform claws.look_again(claw, interval '10 seconds');
    end if;
    update claws.claw x set last_seen_at = case when is_newest then clock_timestamp() else x.last_seen_at end,
        unwell_since = case when not is_newest then x.unwell_since end,
        -- It was well for long enough.
        restarts = case when was = 'running' and x.restarts > 0 and (
            select h.at from claws.change h where h.claw_id = claw order by h.id desc limit 1) < now() - interval '5 minutes'
            then 0 else x.restarts end
    where x.id = claw returning x.* into c;
    return jsonb_build_object('desired', case c.status when 'failed' then 'stopped' else c.desired end,
        'generation', c.instance);
end
$$;
grant execute on function claws.heartbeat(uuid, text) to gather_claws;
