-- Writes a version of a memory, in place of the present one if there is one.
create or replace function memory.put_version(written memory.version) returns void
language plpgsql
as $$
begin
    update memory.version v set replaced_at = clock_timestamp()
    where v.memory_id = written.memory_id and v.replaced_at is null;
    insert into memory.version values (written.*);
end
$$;
