-- The words that misspelt ones are compared with: name, description, tags and the tools' names.
create or replace function skills.search_words(manifest jsonb, tools jsonb) returns text
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
    select lower(concat_ws(' ', manifest ->> 'name', replace(manifest ->> 'name', '-', ' '),
        manifest ->> 'description',
        (select string_agg(tag, ' ') from jsonb_array_elements_text(manifest -> 'tags') tag),
        (select string_agg(translate(e ->> 'name', '.-', '  '), ' ') from jsonb_array_elements(tools) e)))
$$;
grant execute on function skills.search_words to gather_skills;
