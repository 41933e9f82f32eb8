-- The number of an account's unfinished jobs of a kind that were enqueued with a key.
create or replace function jobs.waiting(kind text, owner uuid) returns integer
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select count(*)::integer from jobs.job j
    where j.kind = waiting.kind and j.owner_id = waiting.owner and j.key is not null and j.finished_at is null
$$;
grant execute on function jobs.waiting to gather_skills;
