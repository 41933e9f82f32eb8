-- A conversation whose circle is deleted is closed for good: nobody's budget and rules bound its agents any more.
create or replace function circles.lose_circle() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
    new.status := 'closed';
    new.is_over := true;
    update channels.channel h set archived_at = coalesce(h.archived_at, now()), version = h.version + 1
    where h.id = new.channel_id;
    return new;
end
$$;
create or replace trigger conversation_loses_circle before update of circle_id on circles.conversation
for each row when (old.circle_id is not null and new.circle_id is null)
execute function circles.lose_circle();
