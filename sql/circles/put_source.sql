-- Keeps a source of tools with the definitions that its owner has accepted by it, or others that it accepts now.
--   listing  {name, kind, url, headers, revision, tools, digest}, and `held`: see `circles.may_set_source`
create or replace function circles.put_source(owner uuid, listing jsonb) returns jsonb
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    s circles.tool_source;
begin
    perform identity.require_active(owner);
    if (select count(*) from circles.tool_source x where x.owner_id = put_source.owner) >= 100 then
        return circles.refused('too-many-sources');
    elsif not circles.may_set_source(put_source.owner, listing ->> 'name', platform.texts_of(listing -> 'held')) then
        return circles.refused('scopes-exceed-owner');
    end if;
    insert into circles.tool_source as x (owner_id, name, kind, url, headers, revision, tools, digest)
    values (put_source.owner, listing ->> 'name', listing ->> 'kind', listing ->> 'url', listing -> 'headers',
        listing ->> 'revision', listing -> 'tools', listing ->> 'digest') returning x.* into s;
    return jsonb_build_object('ok', circles.source_json(s));
end
$$;
grant execute on function circles.put_source(uuid, jsonb) to gather_circles;
