-- Does what schedules say for the times that have come: firings, actions and next times are there together or not at all.
-- Answers how many schedules were still due; others, which somebody has changed or holds at this moment, stay as they are.
--   due   [{"id", "due_at", "fire", "missed", "next_due_at", "next_at"}]: times in milliseconds. `due_at` is the time that
--         was found due. The last of `fire` is on time unless `is_late`; earlier ones make up for missed times.
--         {"id", "due_at", "unreadable": true}: its times can't be read
create or replace function pipelines.fire_schedules(due jsonb) returns integer
-- A plan that was made while a table was small is kept while it grows: without this, thousands of firings would each read
-- all those before them.
language plpgsql security definer set search_path = pg_catalog, pg_temp set enable_seqscan = off
as $$
declare
    d record;
    s pipelines.schedule;
    at bigint;
    fired integer := 0;
    held uuid[] := pipelines.hold_schedules(array(select (c ->> 'id')::uuid from jsonb_array_elements(due) c));
begin
    for d in
        select * from jsonb_to_recordset(due) as c (id uuid, due_at bigint, fire bigint[], missed bigint[],
            next_due_at bigint, next_at bigint, unreadable boolean) order by id
    loop
        select o.* into s from pipelines.schedule o
        where o.id = d.id and d.id = any (held) and o.due_at = pipelines.time_of(d.due_at) and o.paused is null;
        continue when not found;
        fired := fired + 1;
        if d.unreadable then
            update pipelines.schedule o set paused = 'unreadable' where o.id = s.id;
            perform pipelines.tell_schedule('schedule.paused', s.id, '{"reason": "unreadable"}');
            perform inbox.notify(array[s.owner_id], 'schedule', 'A schedule was paused',
                format('The times of %s can''t be read any more. Give it other times, and resume it.', s.name),
                '/schedules', null, 'schedule:' || s.id);
            continue;
        end if;
        insert into pipelines.firing (schedule_id, due_at, status, settled, finished_at)
        select s.id, pipelines.time_of(m), 'missed', true, clock_timestamp() from unnest(d.missed) m
        on conflict on constraint firing_due do nothing;
        if cardinality(d.missed) > 0 then
            perform pipelines.tell_schedule('schedule.missed', s.id, jsonb_build_object('count', cardinality(d.missed)));
            insert into pipelines.ended (what, status, count) values ('firing', 'missed', cardinality(d.missed));
        end if;
        foreach at in array d.fire loop
            perform pipelines.fire(s, pipelines.time_of(at), cardinality(d.fire) > 1);
        end loop;
        update pipelines.schedule o
        set due_at = pipelines.time_of(d.next_due_at), next_at = pipelines.time_of(d.next_at)
        where o.id = s.id;
    end loop;
    perform pipelines.plan_dispatch(n.at) from (
        select distinct to_timestamp(ceil(extract(epoch from pipelines.time_of(c.next_at)) * 4) / 4) as at
        from jsonb_to_recordset(due) as c (next_at bigint) where c.next_at is not null order by 1) n;
    return fired;
end
$$;
grant execute on function pipelines.fire_schedules to gather_schedule_dispatch;
