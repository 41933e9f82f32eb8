-- Accepts the definitions that a source has now.
--   listing  {revision, tools, digest}, and `held`: see `circles.may_set_source`
create or replace function circles.accept_source(owner uuid, name text, listing jsonb) returns jsonb
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    s circles.tool_source;
begin
    if not circles.may_set_source(accept_source.owner, accept_source.name, platform.texts_of(listing -> 'held')) then
        return circles.refused('scopes-exceed-owner');
    end if;
    update circles.tool_source x set tools = accept_source.listing -> 'tools', digest = accept_source.listing ->> 'digest',
        revision = accept_source.listing ->> 'revision', changed_at = null
    where x.owner_id = accept_source.owner and x.name = accept_source.name returning x.* into s;
    if s.id is null then
        return circles.refused('source-not-found');
    end if;
    return jsonb_build_object('ok', circles.source_json(s));
end
$$;
grant execute on function circles.accept_source(uuid, text, jsonb) to gather_circles;
