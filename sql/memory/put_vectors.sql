-- Stores the vectors of a version's passages, `[{digest, embedding}]`, of which those in the cache need none. Returns false,
-- and stores nothing, if the text is forgotten, has its vectors already, or a vector is missing.
create or replace function memory.put_vectors(model text, memory uuid, number integer, passages jsonb) returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    written memory.version;
    stored bigint;
begin
    select v.* into written from memory.version v
    where v.memory_id = put_vectors.memory and v.number = put_vectors.number and not v.embedded for no key update;
    if not found then
        return false;
    end if;
    insert into memory.embedding_cache (model, digest, embedding)
    select distinct on (digest) put_vectors.model, decode(p ->> 'digest', 'hex') as digest,
        (p ->> 'embedding')::vector.halfvec
    from jsonb_array_elements(passages) p where p ->> 'embedding' is not null order by digest
    on conflict on constraint embedding_cache_pkey do nothing;
    insert into memory.vector (model, memory_id, number, passage, space_id, digest, embedding)
    select put_vectors.model, written.memory_id, written.number, p.place, written.space_id, c.digest, c.embedding
    from jsonb_array_elements(passages) with ordinality p (passage, place)
    join memory.embedding_cache c on c.model = put_vectors.model and c.digest = decode(p.passage ->> 'digest', 'hex');
    get diagnostics stored = row_count;
    if stored <> jsonb_array_length(passages) then
        -- Somebody forgot the other text that had this passage.
        delete from memory.vector x where x.memory_id = written.memory_id and x.number = written.number;
        return false;
    end if;
    update memory.version v set embedded = true
    where v.memory_id = written.memory_id and v.number = written.number;
    return true;
end
$$;
grant execute on function memory.put_vectors to gather_memory_embed;
