-- Whether a run in one state may become the other: ended is final, what is cancelled only ends, and only a run that was
-- paused is queued again. One that nobody drives at the moment ends by being cancelled, or because its drivers were lost.
create or replace function pipelines.run_may_become(was text, becomes text) returns boolean
language sql immutable
as $$
    select case was
        when 'queued' then becomes in ('running', 'paused', 'failed', 'cancelled')
        when 'running' then becomes in ('waiting', 'paused', 'cancelling', 'succeeded', 'failed', 'cancelled', 'timed_out')
        when 'waiting' then becomes in ('running', 'paused', 'cancelling', 'failed', 'cancelled')
        when 'paused' then becomes in ('queued', 'waiting', 'cancelling', 'cancelled')
        when 'cancelling' then becomes in ('succeeded', 'failed', 'cancelled', 'timed_out')
        else false
    end
$$;
