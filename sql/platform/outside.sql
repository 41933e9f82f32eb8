-- The services outside that were called in the last hour, one in each row, as the schemas tell of them: the number of calls
-- among the newest 500, of those that failed, and the time of the last. Addresses are left out.
create or replace function platform.outside() returns table (service text, detail jsonb)
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select * from jobs.outside()
    union all select * from webhooks.outside()
    union all select * from llm.outside()
    union all select * from vault.outside()
$$;
grant execute on function platform.outside to gather_site;
