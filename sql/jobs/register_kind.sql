-- Registers a kind of work, so that it can be enqueued before a worker has ever run. The queue knows it from then on, too:
-- requests that enqueue several kinds would else tell it of them in different orders, and wait for one another.
create or replace function jobs.register_kind(name text, max_attempts integer) returns void
language sql security definer set search_path = pg_catalog, pg_temp
as $$
    insert into graphile_worker._private_tasks (identifier)
    select $1 where not exists (select from graphile_worker._private_tasks t where t.identifier = $1)
    on conflict do nothing;
    insert into jobs.kind as k (name, max_attempts) values ($1, $2)
    on conflict (name) do update set max_attempts = excluded.max_attempts
    where k.max_attempts <> excluded.max_attempts
$$;
grant execute on function jobs.register_kind to gather_worker;
