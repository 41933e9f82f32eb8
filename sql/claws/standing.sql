-- The state of a claw as its owner knows it, and what may be wanted of it: {"claw_status", "allowed"}.
create or replace function claws.standing(c claws.claw) returns jsonb
language sql stable
as $$
    select jsonb_build_object('claw_status', s.state, 'allowed', to_jsonb(case s.state
        when 'requested' then '{start,stop,restart,delete}'::text[]
        when 'provisioning' then '{start,stop,restart,delete}'
        when 'running' then '{start,stop,pause,resume,restart,delete}'
        when 'unhealthy' then '{start,stop,restart,delete}'
        when 'paused' then '{stop,pause,resume,restart,delete}'
        when 'stopped' then '{start,stop,delete}'
        when 'failed' then '{start,restart,delete}'
        else '{delete}' end))
    -- A wish counts already, whether or not it is done.
    from (select case when c.desired = 'deleted' then 'deleting' when c.status = 'failed' then 'failed'
        when c.desired in ('stopped', 'paused') then c.desired
        when c.status in ('paused', 'stopped') then 'running' else c.status end as state) s
$$;
