-- Removes the items about a topic from the inboxes of accounts that may not read it any more. Code that ends a right
-- emits
-- `access.changed` after it ended.
create or replace function inbox.withdraw() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
    perform inbox.remove(array(
        select i.id from inbox.item i
        where i.topic = new.topic
        and (new.data ->> 'account' is null or i.account_id = platform.uuid_of(new.data ->> 'account'))
        and not events.may_read(i.account_id, i.topic)));
    return null;
end
$$;
create or replace trigger event_withdraws after insert on events.event
for each row when (new.type = 'access.changed') execute function inbox.withdraw();
