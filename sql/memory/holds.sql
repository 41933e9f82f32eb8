-- Whether a memory holds: now, where `at` is null, or at a time by which it may have been superseded since.
create or replace function memory.holds(memory memory.memory, version memory.version, at timestamptz) returns boolean
language sql stable
as $$
    select case
        when at is null then memory.state = 'active' and (version.expires_at is null or version.expires_at > now())
        else version.valid_from <= at and (memory.valid_to is null or memory.valid_to > at)
            and (version.expires_at is null or version.expires_at > at)
    end
$$;
grant execute on function memory.holds to gather_memory;
