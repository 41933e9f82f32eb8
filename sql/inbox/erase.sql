-- A deletion reaches the inboxes: the items about an object go, and what events kept of them.
create or replace function inbox.erase(subject text) returns void
language sql security definer set search_path = pg_catalog, pg_temp
as $$
    select inbox.remove(array(select i.id from inbox.item i where i.subject = erase.subject))
$$;
