-- An event as readers are told it, with what the gateway needs to know of it.
create or replace function events.told(e events.event) returns jsonb
language sql immutable
as $$
    select jsonb_build_object('number', e.number, 'id', e.id, 'topic', e.topic, 'type', e.type, 'data', e.data,
        'actor', e.actor, 'audience', e.audience, 'created_at', e.created_at)
$$;

-- What was committed since a snapshot, in the order of the events' numbers, `most` at a time:
-- {"until", "events"}. A reader whose batch is full asks for the rest of it with the same `until` and the last
-- event's number; when it comes short, `until` is where it stands. A row that committed late is in the first batch
-- that can see it, whatever its number, and nobody else waits for it.
create or replace function events.read(after pg_snapshot, until pg_snapshot, number bigint, most integer) returns jsonb
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select jsonb_build_object(
        'until', coalesce(read.until, pg_current_snapshot())::text,
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

-- The same of one topic, for one reader, who has been found to be allowed to read it.
create or replace function events.history(
    topic text,
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
        'events', (
            select coalesce(jsonb_agg(events.told(e) order by e.number), '[]') from (
                select * from (
                    select * from events.event e
                    where e.topic = history.topic and (history.after is null or e.xid >= pg_snapshot_xmax(history.after))
                    union all
                    select * from events.event e
                    where e.topic = history.topic and e.xid = any (array(select pg_snapshot_xip(history.after)))
                ) e
                where e.number > history.number
                and (e.audience is null or history.account = any (e.audience))
                and (history.until is null or pg_visible_in_snapshot(e.xid, history.until))
                order by e.number limit history.most
            ) e))
$$;

-- Where a reader stands that begins now, and how far back history goes. `epoch` differs for a database that was
-- restored from a dump or a backup: transactions are numbered anew there, so older positions mean nothing.
create or replace function events.now() returns jsonb
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select jsonb_build_object(
        'snapshot', pg_current_snapshot()::text,
        'epoch', hashtextextended(concat_ws('/', s.system_identifier, d.oid, c.timeline_id), 0),
        'at', floor(extract(epoch from clock_timestamp()) * 1000)::bigint,
        'kept_since', floor(extract(epoch from k.since) * 1000)::bigint)
    from pg_control_system() s, pg_control_checkpoint() c, pg_database d, events.kept k
    where d.datname = current_database()
$$;

grant execute on function events.now(), events.history(text, uuid, pg_snapshot, pg_snapshot, bigint, integer)
    to gather_events, gather_realtime;
grant execute on function events.read(pg_snapshot, pg_snapshot, bigint, integer) to gather_realtime;
