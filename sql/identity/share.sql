-- The number of the `free` requests that a lease takes: a small part, so that few requests lie idle where they are not
-- used; the last ones, and those of an exact bucket, one by one.
create or replace function identity.share(free integer, exact boolean) returns integer
language sql immutable
as $$
    select case when free <= 0 then 0 when exact then 1 else greatest(1, least(free / 128, 256)) end
$$;
