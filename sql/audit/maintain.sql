-- Makes the partitions of this month and the next two. Nothing is dropped.
create or replace function audit.maintain() returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp set lock_timeout = '50ms'
as $$
declare
    month date;
    name text;
begin
    if not pg_try_advisory_xact_lock(hashtext('audit.maintain')) then
        return;
    end if;
    for month in select (date_trunc('month', current_date) + n * interval '1 month')::date
        from generate_series(0, 2) n
    loop
        name := 'entry_' || to_char(month, 'YYYYMM');
        if to_regclass('audit.' || name) is null then
            begin
                execute format('create table audit.%I partition of audit.entry for values from (%L) to (%L)',
                    name, month, (month + interval '1 month')::date);
            exception
                when check_violation then
                    raise notice 'entries of % stay in the default partition', month;
                when lock_not_available then
                    return;
            end;
        end if;
    end loop;
end
$$;
grant execute on function audit.maintain to gather_account_purge;
-- Entries of this month must not land in the default partition.
select audit.maintain();
