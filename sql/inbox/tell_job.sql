-- Tells a job's owner the end of the job.
create or replace function inbox.tell_job() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
    perform inbox.notify(array[new.owner_id], 'job', format('%s has %s', new.kind,
        case new.status when 'succeeded' then 'succeeded' else 'failed for good' end), coalesce(new.error, ''),
        '/jobs/' || new.id, subject => 'job:' || new.id);
    return null;
end
$$;
create or replace trigger job_told after update of status on jobs.job
for each row when (old.status is distinct from new.status and new.status in ('succeeded', 'dead') and new.owner_id is not null)
execute function inbox.tell_job();
