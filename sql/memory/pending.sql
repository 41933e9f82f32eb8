-- The present texts of an author that lack vectors, the newest first.
create or replace function memory.pending(author uuid, most integer)
returns table (memory_id uuid, number integer, content text)
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select v.memory_id, v.number, v.content from memory.version v
    where v.author = pending.author and not v.embedded and v.replaced_at is null
    order by v.memory_id desc limit most
$$;
grant execute on function memory.pending to gather_memory_embed;
