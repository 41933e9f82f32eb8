-- Emits an event on the topic of a schedule.
create or replace function pipelines.tell_schedule(type text, schedule uuid, data jsonb) returns void
language plpgsql
as $$
begin
    insert into events.event (topic, type, data)
    values ('schedule:' || schedule, tell_schedule.type, jsonb_build_object('schedule', schedule) || tell_schedule.data);
end
$$;
