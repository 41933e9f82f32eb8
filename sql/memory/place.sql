-- The value by which the space of a scope is looked up: its id, or zeros for the scope of everybody.
create or replace function memory.place(id uuid) returns uuid
language sql immutable
as $$
    select coalesce(place.id, '00000000-0000-0000-0000-000000000000')
$$;
grant execute on function memory.place to gather_memory;
