-- Counts jobs that were added.
create or replace function jobs.count_inserted() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
    insert into jobs.count_change
    select kind, status, count(*) from changed group by kind, status;
    return null;
end
$$;
create or replace trigger job_inserted after insert on jobs.job
referencing new table as changed for each statement execute function jobs.count_inserted();
