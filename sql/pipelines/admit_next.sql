-- Lets runs with a concurrency key go on for which there is room now: those of the smallest priority first, then the
-- oldest.
create or replace function pipelines.admit_next(pipeline uuid, key text) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    waits record;
    going integer;
begin
    perform pg_advisory_xact_lock(hashtextextended(pipeline || '/' || key, 2));
    select count(*) into going from pipelines.run r
    where r.pipeline_id = admit_next.pipeline and r.concurrency_key = admit_next.key and r.finished_at is null
    and r.is_admitted;
    for waits in
        select r.id, r.concurrency_limit from pipelines.run r
        where r.pipeline_id = admit_next.pipeline and r.concurrency_key = admit_next.key and r.finished_at is null
        and not r.is_admitted and r.status = 'waiting' and not r.is_paused
        order by r.priority, r.id limit 1000
    loop
        exit when going >= waits.concurrency_limit;
        update pipelines.run r set is_admitted = true, news = r.news + 1
        where r.id = waits.id and r.finished_at is null and not r.is_admitted;
        if found then
            perform pipelines.drive(waits.id, null);
            going := going + 1;
        end if;
    end loop;
end
$$;
grant execute on function pipelines.admit_next to gather_pipeline_run;
