-- Notes a memory, and returns it with whether it is new: the same text with the same key is noted once.
--   note   {content, words (the content, folded), scope, scope_id, kind, importance, trust, valid_from, expires_at,
--           sources, tags, key}
--   terms  the words by which it is found
create or replace function memory.add(actor uuid, note jsonb, terms text[], out memory jsonb, out is_new boolean)
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    space memory.space;
    made memory.memory;
    former uuid;
    trust text := coalesce(note ->> 'trust', 'own');
    text_digest bytea := sha256(convert_to(note ->> 'content', 'UTF8'));
begin
    perform identity.require_active(actor);
    space := memory.space_for(actor, note ->> 'scope', (note ->> 'scope_id')::uuid);
    trust := memory.lowest(trust, memory.trust_of_sources(actor, note -> 'sources'));
    select m.* into made from memory.memory m
    where m.space_id = space.id and m.digest = text_digest and m.state = 'active'
    and coalesce(m.key, '') = coalesce(note ->> 'key', '');
    is_new := not found;
    if is_new then
        made.id := platform.uuid_v7();
        former := memory.supersede(space, made.id, note ->> 'key', trust, (note ->> 'valid_from')::timestamptz, actor);
        insert into memory.memory as m (id, space_id, key, digest, author)
        values (made.id, space.id, note ->> 'key', text_digest, actor) returning m.* into made;
        update memory.memory m set superseded_by = made.id where m.id = former;
        perform memory.put_version(row(made.id, 1, space.id, note ->> 'content', note ->> 'words',
            memory.indexed(space.number, terms), coalesce(note ->> 'kind', 'fact'),
            coalesce((note ->> 'importance')::real, 0.5), trust,
            array(select jsonb_array_elements_text(note -> 'tags')),
            coalesce((note ->> 'valid_from')::timestamptz, made.created_at), (note ->> 'expires_at')::timestamptz,
            actor, made.created_at, null, false)::memory.version);
        insert into memory.source (memory_id, type, id)
        select distinct made.id, s.type, coalesce(platform.uuid_of(s.id)::text, s.id)
        from jsonb_to_recordset(note -> 'sources') as s (type text, id text);
        perform memory.tell(space, 'memory.created', jsonb_build_object('id', made.id), actor);
        perform memory.count_fresh(space, actor);
    end if;
    select memory.memory_json(actor, made, v) into memory from memory.version v
    where v.memory_id = made.id and v.replaced_at is null;
end
$$;
grant execute on function memory.add to gather_memory;
