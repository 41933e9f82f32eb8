-- A message that is edited, deleted or hidden takes the summaries with it that it is in.
create or replace function circles.drop_summaries() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
    delete from circles.summary y where y.channel_id = new.channel_id and y.seq >= new.seq;
    return null;
end
$$;
create or replace trigger message_summed after update of body, deleted_at, hidden_at on channels.message
for each row when (old.body <> new.body or old.deleted_at is distinct from new.deleted_at
    or old.hidden_at is distinct from new.hidden_at)
execute function circles.drop_summaries();
