-- The node of a step's path: the path without the places in maps.
create or replace function pipelines.node_of(path text) returns text
language sql immutable
as $$
    select regexp_replace(node_of.path, '\[\d+\]', '', 'g')
$$;
