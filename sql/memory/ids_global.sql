-- The one scope of everybody, which has no id.
create or replace function memory.ids_global(account uuid) returns setof uuid
language sql immutable rows 1
as $$
    select null::uuid
$$;
