-- Says which event led to those that this transaction emits from now on, and how many led to that one, so that no work
-- sets itself off for ever.
create or replace function events.follow(cause uuid, depth integer) returns void
language sql
as $$
    select set_config('events.cause', coalesce(follow.cause::text, ''), true),
        set_config('events.depth', coalesce(follow.depth, 0)::text, true)
$$;
