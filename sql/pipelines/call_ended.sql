-- Called in the statement that ends the job of a schedule's call.
create or replace function pipelines.call_ended(job uuid) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    j jobs.job;
begin
    select o.* into j from jobs.job o where o.id = call_ended.job;
    perform pipelines.end_firing(f.id, case j.status when 'dead' then 'failed' else j.status end, j.error)
    from pipelines.firing f where f.job_id = call_ended.job;
end
$$;
