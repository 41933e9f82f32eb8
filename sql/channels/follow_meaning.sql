-- Has the meaning of a message follow its text: see `search.follow`. Who finds a copy has found what it is one of.
create or replace function channels.follow_meaning() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
    if new.deleted_at is null and new.hidden_at is null and new.plain <> '' then
        perform search.follow('message', new.id, new.channel_id, new.author_id);
    elsif tg_op = 'UPDATE' then
        perform search.forget('message', array[new.id]);
    end if;
    return null;
end
$$;
create or replace trigger message_meaning
after insert or update of plain, deleted_at, hidden_at on channels.message
for each row when (new.copied_from is null) execute function channels.follow_meaning();
