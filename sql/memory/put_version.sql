-- Writes a version of a memory, in place of the present one if there is one. If the text is the same, it has its vectors;
-- else a job makes them.
create or replace function memory.put_version(written memory.version) returns void
language plpgsql
as $$
declare
    former memory.version;
begin
    update memory.version v set replaced_at = written.recorded_at
    where v.memory_id = written.memory_id and v.replaced_at is null returning v.* into former;
    written.embedded := coalesce(former.embedded and former.content = written.content, false);
    insert into memory.version values (written.*);
    if written.embedded then
        insert into memory.vector (model, memory_id, number, passage, space_id, digest, embedding)
        select x.model, x.memory_id, written.number, x.passage, x.space_id, x.digest, x.embedding
        from memory.vector x where x.memory_id = former.memory_id and x.number = former.number;
    else
        perform memory.want_vectors(written.author);
    end if;
end
$$;
