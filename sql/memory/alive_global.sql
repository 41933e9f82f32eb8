-- The scope of everybody never ends.
create or replace function memory.alive_global(id uuid) returns boolean
language sql immutable
as $$
    select true
$$;
