-- Decides whether a run that is driven goes on, by the limit of its concurrency key. Answers whether it does; else it waits
-- for its turn or has ended.
--   epoch     that of the driver
--   key       null: it has no value, and the run fails with `fault`
--   on_limit  what happens beyond the limit: `queue`, `skip` or `cancel`
create or replace function pipelines.admit(
    run uuid, epoch integer, key text, at_most integer, on_limit text, fault jsonb
) returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    r pipelines.run;
    others uuid[];
    other uuid;
begin
    select o.* into r from pipelines.run o where o.id = admit.run;
    if admit.key is null then
        perform pipelines.end_run(r.id, 'failed', null, fault) where r.epoch = admit.epoch;
        return false;
    end if;
    -- Drivers of runs with the same key take turns, before they lock any run.
    perform pg_advisory_xact_lock(hashtextextended(r.pipeline_id || '/' || left(admit.key, 1000), 2));
    perform pipelines.lock_run(r.id);
    select o.* into r from pipelines.run o
    where o.id = admit.run and o.epoch = admit.epoch and o.finished_at is null for update;
    if not found then
        return false;
    elsif r.cancels is not null then
        return true;
    end if;
    others := array(select o.id from pipelines.run o
        where o.pipeline_id = r.pipeline_id and o.concurrency_key = left(admit.key, 1000) and o.finished_at is null
        and o.is_admitted and o.id <> r.id order by o.id);
    if cardinality(others) >= at_most and on_limit = 'skip' then
        perform pipelines.end_run(r.id, 'cancelled', null, jsonb_build_object('code', 'cancelled', 'detail',
            'As many runs with the same concurrency key go on as may.'));
        return false;
    end if;
    update pipelines.run o set concurrency_key = left(admit.key, 1000), concurrency_limit = at_most,
        is_admitted = cardinality(others) < at_most or on_limit = 'cancel'
    where o.id = r.id returning o.* into r;
    if not r.is_admitted then
        -- Its own job ends now by itself.
        update pipelines.run o set status = 'waiting', job_id = null where o.id = r.id;
        perform pipelines.drive(r.id, r.deadline_at) where r.deadline_at is not null;
        return false;
    end if;
    foreach other in array others[:cardinality(others) - at_most + 1] loop
        perform pipelines.end_run(other, 'cancelled', null, jsonb_build_object('code', 'cancelled', 'detail',
            format('The run %s with the same concurrency key has begun.', r.id)));
    end loop;
    return true;
end
$$;
grant execute on function pipelines.admit to gather_pipeline_run;
