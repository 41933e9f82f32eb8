-- Adds up calls: [{skill_id, account_id, calls, failures}]. Accounts that have left are skipped.
create or replace function skills.record_usage(calls jsonb) returns void
language sql security definer set search_path = pg_catalog, pg_temp
as $$
    insert into skills.usage as u (skill_id, account_id, day, calls, failures)
    select c.skill_id, c.account_id, current_date, c.calls, c.failures
    from jsonb_to_recordset(record_usage.calls)
        as c (skill_id uuid, account_id uuid, calls bigint, failures bigint)
    join skills.skill s on s.id = c.skill_id
    join identity.account a on a.id = c.account_id
    order by c.skill_id, c.account_id
    on conflict (skill_id, account_id, day) do update
    set calls = u.calls + excluded.calls, failures = u.failures + excluded.failures
$$;
grant execute on function skills.record_usage to gather_sandbox;
