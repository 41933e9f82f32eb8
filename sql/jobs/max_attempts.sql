-- The number of attempts at a job of this kind.
create or replace function jobs.max_attempts(kind text) returns integer
language sql stable
as $$
    select coalesce((select k.max_attempts from jobs.kind k where k.name = kind), 5)
$$;
