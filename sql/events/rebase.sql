-- After a dump was restored, transactions are numbered anew, and what compares their numbers would be wrong for long.
-- Events that no subscription has seen yet count as written now, all others as written long ago. `before` is a look from
-- before the calling transaction had a number.
create or replace function events.rebase(before pg_snapshot) returns void
language plpgsql
as $$
declare
    present text := (select concat_ws('/', s.system_identifier, d.oid) from pg_control_system() s, pg_database d
        where d.datname = current_database());
begin
    if exists (select from events.dispatcher d where d.database <> present) then
        update events.event e
        set xid = case when pg_visible_in_snapshot(e.xid, d.seen) then '3'::xid8 else pg_current_xact_id() end
        from events.dispatcher d where e.xid >= pg_snapshot_xmax(pg_current_snapshot());
        update events.subscription s set since = null;
        update events.dispatcher d set seen = rebase.before, until = null, last = null;
    end if;
    update events.dispatcher d set database = present where d.database is distinct from present;
end
$$;
