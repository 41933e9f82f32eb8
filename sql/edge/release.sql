-- Leaves the topics of a gateway that stops to the others.
create or replace function edge.release(reader uuid) returns integer
language sql security definer set search_path = pg_catalog, pg_temp
as $$
    with released as (update edge.topic t set pusher_ends_at = now() where t.pusher = reader returning 1)
    select count(*)::integer from released
$$;
grant execute on function edge.release(uuid) to gather_realtime;
