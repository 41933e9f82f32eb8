-- Does what an owner, or who manages others' claws, wants of a claw: start, stop, pause, resume, restart or delete. What is
-- so already stays so. Returns {ok: {claw, job}}, or {refused} with `claw_status` and `allowed`.
create or replace function claws.command(account uuid, ref text, what text, manages boolean) returns jsonb
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    c claws.claw;
    standing jsonb;
    wanted text;
begin
    select x.* into c from claws.claw x
    where x.id = (select f.id from claws.find(account, ref, manages) f) for update;
    if c.id is null then
        return '{"refused": "claw-not-found"}';
    end if;
    standing := claws.standing(c);
    if not standing -> 'allowed' ? what then
        return standing || '{"refused": "claw-state"}';
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
