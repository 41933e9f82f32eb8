-- The JSON of a source of tools. Headers are shown by their names and their secrets' names.
create or replace function circles.source_json(s circles.tool_source) returns jsonb
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select jsonb_build_object('name', s.name, 'kind', s.kind, 'url', s.url, 'headers', s.headers, 'revision', s.revision,
        'tools', s.tools, 'digest', s.digest, 'changed_at', s.changed_at, 'created_at', s.created_at)
$$;
grant execute on function circles.source_json(circles.tool_source) to gather_circles;
