-- The answer to a request that changes a claw: {claw, job}, with the job that works on it as {id}; null: nothing is left to do.
create or replace function claws.accepted(c claws.claw) returns jsonb
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select jsonb_build_object('claw', claws.claw_json(c), 'job',
        case when c.job_id is not null then jsonb_build_object('id', c.job_id) end)
$$;
