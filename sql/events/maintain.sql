-- Makes the partitions of the next days, and drops those older than `keep`. Any worker may call it,
-- at any time; two at once take turns. Both need the table for themselves, and whoever waits for that
-- holds up everybody behind: where an old transaction still reads it, the next time will do.
create or replace function events.maintain(keep interval) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp set lock_timeout = '50ms'
as $$
declare
    day date;
    name text;
begin
    if not pg_try_advisory_xact_lock(hashtext('events.maintain')) then
        return;
    end if;
    -- A reader that never woke up does not exist any more.
    delete from events.sleeper s where s.since < now() - interval '1 hour';
    for day in select generate_series(current_date, current_date + 3, interval '1 day')::date loop
        name := 'event_' || to_char(day, 'YYYYMMDD');
        if to_regclass('events.' || name) is null then
            begin
                execute format('create table events.%I partition of events.event for values from (%L) to (%L)',
                    name, day, day + 1);
            exception
                when check_violation then
                    -- The default partition holds rows of that day; they stay there.
                    raise notice 'events of % stay in the default partition', day;
                when lock_not_available then
                    return;
            end;
        end if;
    end loop;
    for day, name in
        select to_date(right(c.relname, 8), 'YYYYMMDD'), c.relname
        from pg_inherits i join pg_class c on c.oid = i.inhrelid
        where i.inhparent = 'events.event'::regclass and c.relname ~ '^event_[0-9]{8}$'
        and to_date(right(c.relname, 8), 'YYYYMMDD') < current_date - keep
    loop
        begin
            execute format('drop table events.%I', name);
            -- Written in the same transaction: a position older than this has missed events.
            update events.kept k set since = greatest(k.since, (day + 1)::timestamptz);
        exception when lock_not_available then
            return;
        end;
    end loop;
    with dropped as (
        delete from events.event_default e where e.created_at < now() - keep returning e.created_at
    )
    update events.kept k set since = greatest(k.since, (select max(d.created_at) from dropped d));
end
$$;
-- Events of the next days must not land in the default partition.
select events.maintain('7 days');
