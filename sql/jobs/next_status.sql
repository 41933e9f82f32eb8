-- The status of a job after an attempt with this outcome.
create or replace function jobs.next_status(outcome text, job jobs.job) returns text
language sql immutable
as $$
    select case
        when outcome in ('failed', 'returned') and job.cancel_requested_at is not null then 'cancelled'
        when outcome = 'failed' and job.attempts >= job.max_attempts then 'dead'
        when outcome = 'returned' then 'queued'
        else outcome
    end
$$;
