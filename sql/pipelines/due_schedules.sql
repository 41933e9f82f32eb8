-- The schedules that are due by the database's clock, at most so many, the longest due first, without those that another
-- dispatcher is firing at this moment. They are locked no longer than it takes to find them: they count when
-- `pipelines.fire_schedules` finds them still so.
create or replace function pipelines.due_schedules(most integer) returns jsonb
language sql security definer set search_path = pg_catalog, pg_temp
as $$
    select jsonb_build_object('now', pipelines.ms_of(clock_timestamp()), 'schedules', coalesce(jsonb_agg(
        jsonb_build_object('id', s.id, 'times', s.times, 'due_at', pipelines.ms_of(s.due_at),
            'catch_up_max', s.catch_up_max, 'catch_up_within_ms', s.catch_up_within_ms)), '[]'))
    from (
        select * from pipelines.schedule s
        where s.next_at <= clock_timestamp() and s.paused is null
        order by s.next_at limit most for key share skip locked
    ) s
$$;
grant execute on function pipelines.due_schedules to gather_schedule_dispatch;
