-- The texts of a JSON array; null for everything else.
create or replace function platform.texts_of(list jsonb) returns text[]
language sql immutable
as $$
    select case when jsonb_typeof(list) = 'array' then array(select jsonb_array_elements_text(list)) end
$$;
