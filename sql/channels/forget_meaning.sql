-- Has the meaning of messages go with them: all those of a channel at once.
create or replace function channels.forget_meaning() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
    perform search.forget('message', array(select g.id from gone g));
    return null;
end
$$;
create or replace trigger message_gone
after delete on channels.message referencing old table as gone
for each statement execute function channels.forget_meaning();
