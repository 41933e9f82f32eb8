-- Calls the function that a job names when it has ended, in the same statement. What that function can't do must not
-- keep jobs from ending; only what may work a moment later is raised, so that the whole statement is tried again.
create or replace function jobs.tell_ended() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
    execute format('select %s($1)', new.notify) using new.id;
    return null;
exception
    when transaction_rollback or insufficient_resources or operator_intervention or system_error then raise;
    when others then
        raise warning '% can''t be told of the end of job %: %', new.notify, new.id, sqlerrm;
        return null;
end
$$;
create or replace trigger job_tell_ended after update of status on jobs.job
for each row when (new.notify is not null and old.finished_at is null and new.finished_at is not null)
execute function jobs.tell_ended();
