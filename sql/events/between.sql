-- The events that were committed between two snapshots.
create or replace function events.between(after pg_snapshot, until pg_snapshot) returns setof events.event
language sql stable
as $$
    select e.* from events.event e
    where e.xid >= pg_snapshot_xmax(between.after) and pg_visible_in_snapshot(e.xid, between.until)
    union all
    select e.* from events.event e
    where e.xid = any (array(select pg_snapshot_xip(between.after))) and pg_visible_in_snapshot(e.xid, between.until)
$$;
