-- Counts jobs whose status or kind changed.
create or replace function jobs.count_updated() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
    insert into jobs.count_change
    select kind, status, sum(change) from (
        select kind, status, 1 as change from changed
        union all select kind, status, -1 from before
    ) c group by kind, status having sum(change) <> 0;
    return null;
end
$$;
create or replace trigger job_updated after update on jobs.job
referencing old table as before new table as changed
for each statement execute function jobs.count_updated();
