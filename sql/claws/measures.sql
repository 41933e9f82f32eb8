-- The numbers about claws, for the metrics of workers.
create or replace function claws.measures() returns setof jobs.measure
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select 'gather_claws', 'Claws by status.', false, 'status', s,
        (select count(*) from claws.claw c where c.status = s)::double precision
    from unnest(array['requested', 'provisioning', 'running', 'paused', 'unhealthy', 'stopped', 'failed', 'deleting']) s
    union all
    select 'gather_claws_running', 'Claws that run, by where they do.', false, 'backend', b,
        (select count(*) from claws.claw c where c.backend = b and c.status = 'running')::double precision
    from unnest(array['wasm', 'docker']) b
    union all
    select 'gather_claws_provisioned_lately', 'Claws that began to run, or failed to, within the last five minutes, by result.',
        false, 'result', r.result, (select count(*) from claws.change h
            where h.at > now() - interval '5 minutes' and h.to_status = r.result
            and h.from_status in ('requested', 'provisioning'))::double precision
    from unnest(array['running', 'failed']) r (result)
$$;
