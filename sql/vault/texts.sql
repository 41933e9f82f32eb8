-- The texts of a JSON list; null for what is not a list.
create or replace function vault.texts(list jsonb) returns text[]
language sql immutable
as $$
    select case when jsonb_typeof(list) = 'array' then array(select jsonb_array_elements_text(list)) end
$$;
