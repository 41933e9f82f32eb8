-- Locks a run, after the runs above it: everybody who locks several goes from the top down, so that nobody waits for
-- somebody who waits.
create or replace function pipelines.lock_run(run uuid) returns void
language plpgsql
as $$
begin
    perform from pipelines.run r where r.id in (
        with recursive above as (
            select o.id, o.parent_id from pipelines.run o where o.id = lock_run.run
            union all
            select p.id, p.parent_id from pipelines.run p join above a on p.id = a.parent_id
        )
        select a.id from above a)
    order by r.level for update;
end
$$;
