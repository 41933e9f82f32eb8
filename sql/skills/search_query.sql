-- The tsquery of a query: its words by their stems, and those without a stem (such as `the`, in a name) as they are. A
-- word behind a minus is always taken by its stem: by its letters alone it would hardly ever be there.
create or replace function skills.search_query(query text) returns tsquery
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
    select case
        when skills.is_literal(search_query.query) then websearch_to_tsquery('english', search_query.query)
        else websearch_to_tsquery('english', search_query.query) || websearch_to_tsquery('simple', search_query.query)
    end
$$;
