-- The state of a task, as A2A names it. A task of a circle goes on while turns follow that have not ended.
create or replace function circles.a2a_state(kind text, t circles.turn) returns text
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select case
        when t.status = 'waiting' and t.waiting_for = 'approval' then 'TASK_STATE_AUTH_REQUIRED'
        when t.status = 'queued' then 'TASK_STATE_SUBMITTED'
        when t.status in ('running', 'waiting') then 'TASK_STATE_WORKING'
        when kind = 'circles' and exists (select from circles.turn o
            where o.channel_id = t.channel_id and o.id > t.id and o.finished_at is null) then 'TASK_STATE_WORKING'
        when t.status = 'completed' then 'TASK_STATE_COMPLETED'
        when t.status = 'cancelled' then 'TASK_STATE_CANCELED'
        else 'TASK_STATE_FAILED' end
$$;
