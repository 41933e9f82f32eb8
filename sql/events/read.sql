-- The events that were committed since a snapshot, for all readers, in the order of their numbers: {"until", "at", "more",
-- "events"}. A batch has at most `most` events, and ends early when it is large. While there are `more`, a reader asks for
-- the rest with the same `until` and the last event's number; after that, `until` is where it stands. A row that committed
-- late is in the first batch that can see it, whatever its number, and nobody else waits for it.
create or replace function events.read(after pg_snapshot, until pg_snapshot, number bigint, most integer) returns jsonb
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select jsonb_build_object(
        'until', coalesce(read.until, pg_current_snapshot())::text,
        'at', floor(extract(epoch from clock_timestamp()) * 1000)::bigint,
        'more', count(*) = read.most or coalesce(bool_or(b.bytes_before >= events.batch_bytes()), false),
        'events', coalesce(jsonb_agg(events.told(b.event) order by b.number)
            filter (where b.bytes_before < events.batch_bytes()), '[]'))
    from (
        select f.event, f.number, sum(f.bytes) over (order by f.number) - f.bytes as bytes_before
        from (
            select e::events.event as event, e.number, octet_length(e.data::text) as bytes from (
                select * from events.event e where e.xid >= pg_snapshot_xmax(read.after)
                union all
                select * from events.event e where e.xid = any (array(select pg_snapshot_xip(read.after)))
            ) e
            where e.number > read.number
            and (read.until is null or pg_visible_in_snapshot(e.xid, read.until))
            order by e.number limit read.most
        ) f
    ) b
$$;
grant execute on function events.read(pg_snapshot, pg_snapshot, bigint, integer) to gather_realtime;
