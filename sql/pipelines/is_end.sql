-- Whether a step or a run in this state has ended.
create or replace function pipelines.is_end(status text) returns boolean
language sql immutable
as $$
    select status in ('succeeded', 'failed', 'skipped', 'cancelled', 'timed_out')
$$;
