-- Tells the readers of a scope what happened to memories: their ids, and never their texts.
create or replace function memory.tell(space memory.space, type text, data jsonb, actor uuid) returns void
language plpgsql
as $$
declare
    topic text := (select k.topic from memory.scope_kind k where k.kind = space.scope);
begin
    perform events.emit(array[topic || ':' || coalesce(space.scope_id::text, 'all')], tell.type,
        jsonb_build_object('scope', space.scope, 'scope_id', space.scope_id) || data, actor => actor);
end
$$;
