-- Changes a memory, as a new version under the same id. What is not among the changes stays.
--   expected  the versions that it may have; null: any
--   known     the version that the words are those of
--   changes   {content, words, kind, importance, trust, state, tags, valid_from, expires_at}
--   terms     the words by which it is found with the changes
create or replace function memory.change(
    actor uuid, id uuid, expected text[], known integer, changes jsonb, terms text[]) returns jsonb
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    former memory.memory;
    changed memory.memory;
    space memory.space;
    version memory.version;
begin
    perform identity.require_active(actor);
    former := memory.seen(actor, change.id);
    if memory.level_in(actor, former.space_id) = 'read' then
        perform identity.refuse('memory_foreign');
    elsif former.version <> known or former.version::text <> all (expected) then
        perform identity.refuse('memory_version');
    elsif former.state = 'superseded' then
        perform identity.refuse('memory_superseded');
    end if;
    select v.* into version from memory.version v where v.memory_id = former.id and v.replaced_at is null;
    if memory.rank_of(changes ->> 'trust') > memory.rank_of(version.trust) then
        perform identity.refuse('memory_trust');
    end if;
    select s.* into space from memory.space s where s.id = former.space_id;
    version.number := former.version + 1;
    version.content := coalesce(changes ->> 'content', version.content);
    version.words := coalesce(changes ->> 'words', version.words);
    version.terms := memory.indexed(space.number, terms);
    version.kind := coalesce(changes ->> 'kind', version.kind);
    version.importance := coalesce((changes ->> 'importance')::real, version.importance);
    version.trust := coalesce(changes ->> 'trust', version.trust);
    if changes ? 'tags' then
        version.tags := array(select jsonb_array_elements_text(changes -> 'tags'));
    end if;
    version.valid_from := coalesce((changes ->> 'valid_from')::timestamptz, version.valid_from);
    if changes ? 'expires_at' then
        version.expires_at := (changes ->> 'expires_at')::timestamptz;
    end if;
    version.author := actor;
    version.recorded_at := clock_timestamp();
    update memory.memory m set version = version.number, state = coalesce(changes ->> 'state', m.state),
        digest = sha256(convert_to(version.content, 'UTF8'))
    where m.id = former.id returning m.* into changed;
    perform memory.put_version(version);
    perform memory.tell(space, 'memory.changed', jsonb_build_object('id', changed.id, 'version', changed.version), actor);
    return memory.memory_json(actor, changed, version);
end
$$;
grant execute on function memory.change to gather_memory;
