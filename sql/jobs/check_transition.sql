-- Checks a change of a job's status, which follows this diagram:
--
--   queued -> running -> succeeded
--                |-> failed (waits, then runs again) -> ... -> dead -> queued (retry)
--   any unfinished one -> cancelled
create or replace function jobs.check_transition() returns trigger
language plpgsql
as $$
begin
    if not (case old.status
        when 'queued' then new.status in ('running', 'cancelled', 'dead')
        when 'failed' then new.status in ('running', 'cancelled', 'dead')
        when 'running' then new.status in ('succeeded', 'failed', 'dead', 'cancelled', 'queued')
        when 'dead' then new.status = 'queued'
        else false
    end) then
        raise exception 'a job that is % cannot become %', old.status, new.status
            using errcode = 'check_violation', constraint = 'job_transition';
    end if;
    return new;
end
$$;
create or replace trigger job_transition before update of status on jobs.job
for each row when (old.status is distinct from new.status)
execute function jobs.check_transition();
