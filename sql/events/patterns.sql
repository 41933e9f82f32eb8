-- The patterns of a subscription that match a type of events: `a.b.c`, `a.b.*`, `a.*`.
create or replace function events.patterns(type text) returns text[]
language sql immutable
as $$
    select array[patterns.type] || array(
        select array_to_string(p.parts[:n], '.') || '.*'
        from (select string_to_array(patterns.type, '.') as parts) p, generate_series(1, cardinality(p.parts) - 1) n)
$$;
