-- The counts of what is erased with these memories.
create or replace function memory.counts_of(ids uuid[]) returns jsonb
language sql stable
as $$
    select jsonb_build_object(
        'memories', cardinality(ids),
        'versions', (select count(*) from memory.version v where v.memory_id = any (ids)))
$$;
