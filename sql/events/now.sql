-- The position of a reader that begins now, and the beginning of history. `epoch` differs for a database that was
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
grant execute on function events.now() to gather_edge, gather_events, gather_realtime;
