-- Notes how the work of a firing has ended. Its schedule takes note of that a moment later, in `pipelines.settle`, since
-- whoever ends the work must not wait for the schedule.
create or replace function pipelines.end_firing(firing uuid, status text, reason text) returns void
language plpgsql
as $$
declare
    ended pipelines.firing;
begin
    update pipelines.firing f
    set status = end_firing.status,
        reason = left(case when end_firing.status = 'cancelled' then coalesce(f.reason, end_firing.reason)
            else end_firing.reason end, 300),
        finished_at = clock_timestamp()
    where f.id = end_firing.firing and f.status = 'running' returning f.* into ended;
    if not found then
        return;
    end if;
    insert into pipelines.ended (what, status) values ('firing', ended.status);
    if exists (select from pipelines.schedule s where s.id = ended.schedule_id and s.pause_after_failures is not null)
        or exists (select from pipelines.firing f where f.schedule_id = ended.schedule_id and f.status = 'due')
    then
        perform pipelines.plan_dispatch(clock_timestamp());
    end if;
end
$$;
