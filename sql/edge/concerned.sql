-- The accounts whose rights or blocks changed after a snapshot: their sockets are to sign in again. Changes of a topic's
-- own rights are among its events.
create or replace function edge.concerned(after pg_snapshot, until pg_snapshot) returns uuid[]
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select coalesce(array_agg(distinct platform.uuid_of(substr(e.topic, 9))), '{}') from (
        select * from events.event e where e.xid >= pg_snapshot_xmax(concerned.after)
        union all
        select * from events.event e where e.xid = any (array(select pg_snapshot_xip(concerned.after)))
    ) e
    where e.type = 'access.changed' and e.topic like 'account:%' and pg_visible_in_snapshot(e.xid, concerned.until)
$$;
grant execute on function edge.concerned(pg_snapshot, pg_snapshot) to gather_realtime;
