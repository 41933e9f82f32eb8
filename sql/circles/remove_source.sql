-- Removes a source of tools.
create or replace function circles.remove_source(owner uuid, name text) returns jsonb
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
begin
    delete from circles.tool_source x where x.owner_id = remove_source.owner and x.name = remove_source.name;
    return case when found then '{"ok": null}' else circles.refused('source-not-found') end;
end
$$;
grant execute on function circles.remove_source(uuid, text) to gather_circles;
