-- What an account noted, and what is noted for it: memories with their former versions, and blocks.
create or replace function memory.export_account(account uuid) returns jsonb
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select jsonb_build_object(
        'memories', coalesce((
            select jsonb_agg(memory.memory_json(account, m, v) || jsonb_build_object('former', (
                    select coalesce(jsonb_agg(jsonb_build_object('version', f.number, 'content', f.content,
                        'recorded_at', f.recorded_at) order by f.number), '[]')
                    from memory.version f where f.memory_id = m.id and f.replaced_at is not null)) order by m.id)
            from memory.memory m join memory.version v on v.memory_id = m.id and v.replaced_at is null
            join memory.space s on s.id = m.space_id
            where m.author = account or s.scope = 'agent' and s.place = account), '[]'),
        'blocks', coalesce((
            select jsonb_agg(memory.block_json(account, b) order by b.space_id, b.label)
            from memory.block b join memory.space s on s.id = b.space_id
            where b.author = account or s.scope = 'agent' and s.place = account), '[]'))
$$;
