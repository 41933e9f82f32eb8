-- Has a job make the vectors that are wanted, in a moment, unless one is there. One that is about to end may miss what is
-- being written, and the job of the next minute finds it.
create or replace function search.wake() returns void
language plpgsql
as $$
begin
    if not exists (
        select from jobs.job j
        where j.kind = 'search-embed' and j.owner_id is null and j.key = 'wanted' and j.finished_at is null) then
        perform jobs.add('search-embed', '{}', null, 'wanted', now() + interval '1 second', null, 0, null, 0);
    end if;
end
$$;
