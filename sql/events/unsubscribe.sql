-- Ends a subscription of the caller's own role. Work that it has started goes on.
create or replace function events.unsubscribe(subscription uuid) returns void
language sql security definer set search_path = pg_catalog, pg_temp
as $$
    delete from events.subscription s where s.id = unsubscribe.subscription and s.role = session_user
$$;
