-- Whether a step in one state may become the other. It may be cancelled from each, and fail:
--
--   ready -> running -> retrying -> running, or waiting (an agent is asked again)
--              |-> uncertain -> ready (decided by hand), running (it has not arrived)
--   waiting -> retrying
--
-- An open breaker holds back what would be running: it is retrying, skipped or failed instead.
create or replace function pipelines.step_may_become(was text, becomes text) returns boolean
language sql immutable
as $$
    select becomes in ('failed', 'cancelled', 'timed_out') and not pipelines.is_end(was) or case was
        when 'ready' then becomes in ('running', 'retrying', 'skipped')
        when 'running' then becomes in ('retrying', 'uncertain', 'succeeded')
        when 'retrying' then becomes in ('running', 'waiting', 'skipped')
        when 'uncertain' then becomes in ('ready', 'running', 'retrying', 'skipped', 'succeeded')
        when 'waiting' then becomes in ('retrying', 'succeeded')
        else false
    end
$$;
