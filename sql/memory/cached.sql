-- Which of these digests have a vector of a model.
create or replace function memory.cached(model text, digests text[]) returns setof text
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select encode(c.digest, 'hex') from memory.embedding_cache c
    where c.model = cached.model and c.digest in (select decode(d, 'hex') from unnest(digests) d)
$$;
grant execute on function memory.cached to gather_memory_embed;
