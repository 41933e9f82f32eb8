-- Wakes sleeping readers. The notification carries no news, since readers that are awake poll.
create or replace function events.wake() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
    if exists (select from events.sleeper) then
        perform pg_notify('events', '');
    end if;
    return null;
end
$$;
create or replace trigger event_wake after insert on events.event
for each statement execute function events.wake();
