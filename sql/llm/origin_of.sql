-- The scheme, host and port of an address.
create or replace function llm.origin_of(url text) returns text
language sql immutable
as $$
    select lower(substring(origin_of.url from '^https?://[^/?#]+'))
$$;
