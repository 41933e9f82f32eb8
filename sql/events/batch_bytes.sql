-- The size of events' data in bytes after which a batch of events ends, so that readers need not hold much.
create or replace function events.batch_bytes() returns bigint
language sql immutable
as $$
    select (1 << 20)::bigint
$$;
