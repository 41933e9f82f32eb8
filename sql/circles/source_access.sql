-- The access to a source: its address, its headers, the id of the secret that they name, and its definitions.
create or replace function circles.source_access(s circles.tool_source) returns jsonb
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select jsonb_build_object('id', s.id, 'name', s.name, 'url', s.url, 'revision', s.revision, 'tools', s.tools,
        'account', s.owner_id, 'names_secret', circles.secret_named(s.headers) is not null,
        'secret', vault.resolve_secret(circles.secret_named(s.headers), s.owner_id),
        'headers', coalesce((select jsonb_object_agg(h.key, h.value) from jsonb_each(s.headers) h
            where not starts_with(h.value #>> '{}', 'vault:')), '{}'))
$$;
grant execute on function circles.source_access(circles.tool_source) to gather_circles;
