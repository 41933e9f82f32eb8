-- The search document of a version, by weight: the name, description and tags, the tools, the readme. Name and tags
-- are kept as they are written and by their stems, so that an exact word is found and another form of it, too.
create or replace function skills.search_document(manifest jsonb, tools jsonb) returns tsvector
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
    select setweight(to_tsvector('simple', n.text) || to_tsvector('english', n.text), 'A')
        || setweight(to_tsvector('english', coalesce(manifest ->> 'description', '')), 'B')
        || setweight(to_tsvector('simple', t.text) || to_tsvector('english', t.text), 'B')
        || setweight(to_tsvector('english', coalesce(
            (select string_agg(concat_ws(' ', translate(e ->> 'name', '.', ' '), e ->> 'description'), ' ')
             from jsonb_array_elements(tools) e), '')), 'C')
        || setweight(to_tsvector('english', left(coalesce(manifest ->> 'readme', ''), 20000)), 'D')
    from (select replace(coalesce(manifest ->> 'name', ''), '-', ' ') as text) n,
        (select coalesce(string_agg(tag, ' '), '') as text
         from jsonb_array_elements_text(manifest -> 'tags') tag) t
$$;
grant execute on function skills.search_document to gather_skills;
