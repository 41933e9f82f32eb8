-- Counts a search. Nobody waits for the disk for that.
create or replace function search.count_search(mode text) returns void
language sql
as $$
    select set_config('synchronous_commit', 'off', true);
    insert into search.search_count (mode, count) values (count_search.mode, 1)
$$;
