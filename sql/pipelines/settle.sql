-- Lets schedules take note of firings that have ended: one that fails too often is paused, and the next firing that
-- waits gets its turn. At most so many at once; another process may do the same.
create or replace function pipelines.settle(most integer) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    at uuid;
    s pipelines.schedule;
    ended record;
    waits uuid;
begin
    foreach at in array pipelines.hold_schedules(array(
        select distinct f.schedule_id from (
            select * from pipelines.firing f where not f.settled and f.finished_at is not null
            order by f.finished_at limit most) f))
    loop
        select o.* into s from pipelines.schedule o where o.id = at;
        for ended in
            update pipelines.firing f set settled = true
            where f.schedule_id = s.id and not f.settled and f.finished_at is not null
            returning f.status, f.finished_at
        loop
            s.failures := case ended.status when 'failed' then s.failures + 1 when 'succeeded' then 0 else s.failures end;
        end loop;
        update pipelines.schedule o
        set failures = s.failures,
            paused = case when s.failures >= s.pause_after_failures then 'failures' else o.paused end
        where o.id = s.id;
        if s.failures >= s.pause_after_failures and s.paused is null then
            perform pipelines.tell_schedule('schedule.paused', s.id, '{"reason": "failures"}');
            perform inbox.notify(array[s.owner_id], 'schedule', 'A schedule was paused',
                format('%s has failed %s times in a row.', s.name, s.failures), '/schedules', null, 'schedule:' || s.id);
        end if;
        select f.id into waits from pipelines.firing f
        where f.schedule_id = s.id and f.status = 'due' order by f.due_at limit 1;
        if waits is not null and not exists (select from pipelines.firing f
            where f.schedule_id = s.id and f.status = 'running') then
            perform pipelines.act(s, waits);
        end if;
    end loop;
end
$$;
grant execute on function pipelines.settle to gather_schedule_dispatch;
