-- Adds up the counts of searches, and forgets what was counted of erasures a month ago. Workers call it.
create or replace function memory.sweep(most integer) returns void
language sql
as $$
    with taken as (
        delete from memory.search_count returning mode, count
    )
    insert into memory.search_count (mode, count) select mode, sum(count) from taken group by mode;
    delete from memory.erasure e where e.job_id in (
        select o.job_id from memory.erasure o where o.erased_at < now() - interval '31 days'
        order by o.erased_at limit most)
$$;
