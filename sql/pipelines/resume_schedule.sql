-- Lets a schedule of an account go on. What fell due while it was paused is skipped; of these the latest are told as
-- firings. Does nothing to one that is not paused.
--   skipped           the times, in milliseconds
--   due_at, next_at   the time that comes next, and when that fires, in milliseconds; null: there is none
create or replace function pipelines.resume_schedule(
    account uuid, schedule uuid, skipped jsonb, due_at bigint, next_at bigint
) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
    update pipelines.schedule s
    set paused = null, failures = 0, due_at = pipelines.time_of(resume_schedule.due_at),
        next_at = pipelines.time_of(resume_schedule.next_at)
    where s.id = resume_schedule.schedule and s.owner_id = account and s.paused is not null;
    if not found then
        return;
    end if;
    insert into pipelines.firing (schedule_id, due_at, status, reason, settled, finished_at)
    select schedule, pipelines.time_of(t::bigint), 'skipped', 'paused', true, clock_timestamp()
    from jsonb_array_elements_text(skipped) t
    on conflict on constraint firing_due do nothing;
    if resume_schedule.next_at is not null then
        perform pipelines.plan_dispatch(pipelines.time_of(resume_schedule.next_at));
    end if;
end
$$;
grant execute on function pipelines.resume_schedule to gather_pipelines;
