-- Makes of a claw what its owner wants, for a job of one generation: an older one does nothing. A wasm claw needs nothing but
-- its rows, and is so at once: {status}. For a container the answer is what to ask of the provisioner, {ask, id, generation}
-- and the `specification` of a new one; `claws.acted` takes what came of it. Null: there is nothing to do, or it is gone.
--   hash  of the token by which a new container enrols
create or replace function claws.act(claw uuid, generation integer, cause text, hash bytea) returns jsonb
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    c claws.claw;
    t claws.template;
begin
    select x.* into c from claws.claw x where x.id = claw and x.generation = act.generation;
    -- Nothing that is being deleted is wanted otherwise again, and whoever leaves is locked before its claws.
    if c.desired = 'deleted' and c.instance is null then
        perform identity.leave(claw, '{}');
        return '{"status": "deleted"}';
    end if;
    select x.* into c from claws.claw x where x.id = claw and x.generation = act.generation for update;
    if c.id is null then
        return null;
    elsif c.backend = 'wasm' then
        return jsonb_build_object('status', claws.settle(c, cause));
    elsif c.desired = 'running' and c.status in ('requested', 'provisioning') then
        c := claws.move(claw, 'provisioning', 'provisioning');
        select x.* into t from claws.template x where x.name = c.template;
        if t.name is null then
            perform claws.give_up(claw, 'its template is gone', null);
            return null;
        end if;
        insert into claws.enrolment as e (claw_id, generation, hash, expires_at)
        values (claw, c.generation, act.hash, clock_timestamp() + interval '5 minutes')
        on conflict on constraint enrolment_pkey do update
        set generation = excluded.generation, hash = excluded.hash, expires_at = excluded.expires_at, used_at = null, public_key = null
        where e.generation <> excluded.generation;
        -- While the provisioner was away, nobody could use it.
        update claws.enrolment e set expires_at = clock_timestamp() + interval '5 minutes'
        where e.claw_id = claw and e.used_at is null;
        update claws.claw x set instance = c.generation, last_seen_at = null,
            resumed = case when t.volume and exists (
                select from claws.change h where h.claw_id = claw and h.to_status = 'running') then 'disk' else 'fresh' end
        where x.id = claw;
        return jsonb_build_object('ask', 'provision', 'id', claw, 'generation', c.generation, 'specification',
            jsonb_build_object('id', claw, 'generation', c.generation, 'image', t.image, 'command', t.command,
                'cpu_millis', t.cpu_millis, 'memory_bytes', t.memory_bytes, 'disk_bytes', t.disk_bytes,
                'egress', t.egress, 'volume', t.volume, 'env', c.env || jsonb_build_object('GATHER_CLAW', claw)));
    elsif c.instance is null and c.status = 'failed' then
        return '{"status": "failed"}';
    elsif c.instance is null and c.desired <> 'running' then
        return jsonb_build_object('status', claws.settle(c, cause));
    end if;
    return jsonb_build_object('id', claw, 'generation', case c.desired when 'deleted' then c.generation else c.instance end,
        'ask', case when c.desired = 'deleted' then 'deprovision' when c.desired = 'stopped' or c.status = 'failed' then 'stop'
            when c.desired = 'paused' then 'pause' else 'resume' end);
end
$$;
grant execute on function claws.act(uuid, integer, text, bytea) to gather_claw_provision;
