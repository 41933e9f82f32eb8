-- Adds up the counts of searches. Workers call it.
create or replace function search.sweep() returns void
language sql
as $$
    with taken as (
        delete from search.search_count returning mode, count
    )
    insert into search.search_count (mode, count) select mode, sum(count) from taken group by mode
$$;
