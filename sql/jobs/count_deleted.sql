-- Counts jobs that were deleted.
create or replace function jobs.count_deleted() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
    insert into jobs.count_change
    select kind, status, -count(*) from changed group by kind, status;
    return null;
end
$$;
create or replace trigger job_deleted after delete on jobs.job
referencing old table as changed for each statement execute function jobs.count_deleted();
