-- Wakes whoever listens, once a statement: NOTIFY says that there is something to read, the table says what.
create or replace function events.wake() returns trigger
language plpgsql
as $$
begin
    if exists (select from added) then
        perform pg_notify('events', '');
    end if;
    return null;
end
$$;
create or replace trigger event_wake after insert on events.event
referencing new table as added for each statement execute function events.wake();
