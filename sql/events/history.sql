-- Events of topics that were committed since a snapshot, for one reader, who has been found to be allowed to read the
-- topics, without those of accounts that it has blocked; as `events.read` gives them. `all:all` has those of every topic.
create or replace function events.history(
    topics text[],
    account uuid,
    after pg_snapshot,
    until pg_snapshot,
    number bigint,
    most integer
) returns jsonb
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select jsonb_build_object(
        'until', coalesce(history.until, pg_current_snapshot())::text,
        'at', floor(extract(epoch from clock_timestamp()) * 1000)::bigint,
        'more', count(*) = history.most or coalesce(bool_or(b.bytes_before >= events.batch_bytes()), false),
        'events', coalesce(jsonb_agg(events.told(b.event) order by b.number)
            filter (where b.bytes_before < events.batch_bytes()), '[]'))
    from (
        select f.event, f.number, sum(f.bytes) over (order by f.number) - f.bytes as bytes_before
        from (
            select e::events.event as event, e.number, octet_length(e.data::text) as bytes from (
                select * from events.event e
                where e.topic = any (history.topics) and e.xid >= pg_snapshot_xmax(history.after)
                and 'all:all' <> all (history.topics)
                union all
                select * from events.event e
                where e.topic = any (history.topics) and e.xid = any (array(select pg_snapshot_xip(history.after)))
                and 'all:all' <> all (history.topics)
                union all
                select * from events.event e
                where 'all:all' = any (history.topics) and e.xid >= pg_snapshot_xmax(history.after)
                union all
                select * from events.event e
                where 'all:all' = any (history.topics) and e.xid = any (array(select pg_snapshot_xip(history.after)))
            ) e
            where e.number > history.number
            and (e.audience is null or history.account = any (e.audience))
            and (events.told_of(e.data) = any ((select events.shunned(history.account))::uuid[])) is not true
            and (history.until is null or pg_visible_in_snapshot(e.xid, history.until))
            order by e.number limit history.most
        ) f
    ) b
$$;
grant execute on function events.history(text[], uuid, pg_snapshot, pg_snapshot, bigint, integer) to gather_events, gather_realtime;
