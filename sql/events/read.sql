-- The events that were committed since a snapshot, in the order of their numbers, `most` at a time:
-- {"until", "at", "events"}. A reader whose batch is full asks for the rest of it with the same `until` and the last
-- event's number; when it comes short, `until` is where it stands. A row that committed late is in the first batch
-- that can see it, whatever its number, and nobody else waits for it.
create or replace function events.read(after pg_snapshot, until pg_snapshot, number bigint, most integer) returns jsonb
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select jsonb_build_object(
        'until', coalesce(read.until, pg_current_snapshot())::text,
        'at', floor(extract(epoch from clock_timestamp()) * 1000)::bigint,
        'events', (
            select coalesce(jsonb_agg(events.told(e) order by e.number), '[]') from (
                select * from (
                    select * from events.event e where e.xid >= pg_snapshot_xmax(read.after)
                    union all
                    select * from events.event e where e.xid = any (array(select pg_snapshot_xip(read.after)))
                ) e
                where e.number > read.number
                and (read.until is null or pg_visible_in_snapshot(e.xid, read.until))
                order by e.number limit read.most
            ) e))
$$;
grant execute on function events.read(pg_snapshot, pg_snapshot, bigint, integer) to gather_realtime;
