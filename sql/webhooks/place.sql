-- The part of an address that may be told: paths and queries often hold secrets.
create or replace function webhooks.place(url text) returns text
language sql immutable
as $$
    select coalesce(substring(place.url from '^https?://[^/?#]+'), 'The receiver')
$$;
grant execute on function webhooks.place to gather_webhooks;
