-- The events of a topic that were committed between two snapshots after a number, one page of them; as `events.read` gives
-- them. Those for an audience are among them, since an edge tells each reader what is for it.
create or replace function edge.page(topic text, after pg_snapshot, until pg_snapshot, number bigint, most integer)
returns jsonb
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select jsonb_build_object(
        'until', page.until::text,
        'at', floor(extract(epoch from clock_timestamp()) * 1000)::bigint,
        'more', count(*) = page.most or coalesce(bool_or(b.bytes_before >= events.batch_bytes()), false),
        'events', coalesce(jsonb_agg(events.told(b.event) order by b.number)
            filter (where b.bytes_before < events.batch_bytes()), '[]'))
    from (
        select f.event, f.number, sum(f.bytes) over (order by f.number) - f.bytes as bytes_before
        from (
            select e::events.event as event, e.number, octet_length(e.data::text) as bytes from (
                select * from events.event e where e.topic = page.topic and e.xid >= pg_snapshot_xmax(page.after)
                union all
                select * from events.event e
                where e.topic = page.topic and e.xid = any (array(select pg_snapshot_xip(page.after)))
            ) e
            where e.number > page.number and pg_visible_in_snapshot(e.xid, page.until)
            order by e.number limit page.most
        ) f
    ) b
$$;
grant execute on function edge.page(text, pg_snapshot, pg_snapshot, bigint, integer) to gather_realtime;
