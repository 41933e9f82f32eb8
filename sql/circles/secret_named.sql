-- The name of the secret among headers, without `vault:`; null if there is none.
create or replace function circles.secret_named(headers jsonb) returns text
language sql immutable
as $$
    select substr(h.value #>> '{}', 7) from jsonb_each(headers) h where starts_with(h.value #>> '{}', 'vault:') limit 1
$$;
grant execute on function circles.secret_named(jsonb) to gather_circles;
