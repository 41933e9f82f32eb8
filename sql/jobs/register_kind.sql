-- Registers a kind of work, so that it can be enqueued before a worker has ever run.
create or replace function jobs.register_kind(name text, max_attempts integer) returns void
language sql security definer set search_path = pg_catalog, pg_temp
as $$
    insert into jobs.kind as k (name, max_attempts) values ($1, $2)
    on conflict (name) do update set max_attempts = excluded.max_attempts
    where k.max_attempts <> excluded.max_attempts
$$;
grant execute on function jobs.register_kind to gather_worker;
