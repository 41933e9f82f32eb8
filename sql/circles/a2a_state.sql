-- The state of a task, as A2A names it. A task of a circle goes on until all its turns have ended.
create or replace function circles.a2a_state(kind text, t circles.turn) returns text
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select case
        when r.is_waiting then 'TASK_STATE_AUTH_REQUIRED'
        when r.is_queued then 'TASK_STATE_SUBMITTED'
        when r.is_unfinished then 'TASK_STATE_WORKING'
        else (select case e.status when 'completed' then 'TASK_STATE_COMPLETED' when 'cancelled' then 'TASK_STATE_CANCELED'
            else 'TASK_STATE_FAILED' end from circles.a2a_end(kind, t) e) end
    from (select coalesce(bool_or(x.waiting_for = 'approval'), false) as is_waiting, bool_and(x.status = 'queued') as is_queued,
        bool_or(x.finished_at is null) as is_unfinished from circles.a2a_run(kind, t) x) r
$$;
