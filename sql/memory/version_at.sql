-- The version of a memory that was known at a time, or the first one if none was yet. Null is the present.
create or replace function memory.version_at(memory uuid, at timestamptz) returns setof memory.version
language sql stable
as $$
    select v.* from memory.version v
    where v.memory_id = version_at.memory
    and case when at is null then v.replaced_at is null else v.replaced_at is null or v.replaced_at > at end
    order by v.number limit 1
$$;
grant execute on function memory.version_at to gather_memory;
