-- Does what an owner, or who manages others' claws, wants of a claw: start, stop, pause, resume, restart or delete. What is
-- so already stays so. Returns {ok: {claw, job}}, or {refused} with `claw_status` and `allowed`.
create or replace function claws.command(account uuid, ref text, what text, manages boolean) returns jsonb
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    c claws.claw;
    state text;
    allowed text[];
    wanted text;
begin
    select x.* into c from claws.claw x
    where x.id = (select f.id from claws.find(account, ref, manages) f) for update;
    if c.id is null then
        return '{"refused": "claw-not-found"}';
    end if;
    -- A wish counts already, whether or not it is done.
    state := case when c.desired = 'deleted' then 'deleting' when c.status = 'failed' then 'failed'
        when c.desired in ('stopped', 'paused') then c.desired
        when c.status in ('paused', 'stopped') then 'running' else c.status end;
    allowed := case state
        when 'requested' then '{start,stop,restart,delete}'::text[]
        when 'provisioning' then '{start,stop,restart,delete}'
        when 'running' then '{start,stop,pause,resume,restart,delete}'
        when 'unhealthy' then '{start,stop,restart,delete}'
        when 'paused' then '{stop,pause,resume,restart,delete}'
        when 'stopped' then '{start,stop,delete}'
        when 'failed' then '{start,restart,delete}'
        else '{delete}' end;
    if what <> all (allowed) then
        return jsonb_build_object('refused', 'claw-state', 'claw_status', state, 'allowed', to_jsonb(allowed));
    end if;
    wanted := case what when 'stop' then 'stopped' when 'pause' then 'paused' when 'delete' then 'deleted' else 'running' end;
    if wanted = 'running' and exists (select from identity.account a
        where a.id in (c.id, c.owner_id) and a.status <> 'active') then
        return jsonb_build_object('refused', 'claw-suspended');
    elsif not (c.desired = wanted and c.status <> 'failed' and (what <> 'restart' or c.status in ('requested', 'provisioning'))) then
        update claws.claw x set restarts = 0, unwell_since = null where x.id = c.id;
        c := claws.want(c.id, wanted, what || case when c.owner_id <> account then ' by an administrator' else '' end,
            wanted = 'running' and not (c.desired = 'paused' and what = 'resume'));
    end if;
    return jsonb_build_object('ok', claws.accepted(c));
end
$$;
grant execute on function claws.command(uuid, text, text, boolean) to gather_claws;
