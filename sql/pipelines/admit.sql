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
    going uuid[];
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
    going := array(select o.id from pipelines.run o
        where o.pipeline_id = r.pipeline_id and o.concurrency_key = left(admit.key, 1000) and o.finished_at is null
        and o.is_admitted and o.id <> r.id);
    if cardinality(going) >= at_most and on_limit = 'skip' then
        perform pipelines.end_run(r.id, 'cancelled', null, jsonb_build_object('code', 'cancelled', 'detail',
            'As many runs with the same concurrency key go on as may.'));
        return false;
    end if;
    update pipelines.run o set concurrency_key = left(admit.key, 1000), concurrency_limit = at_most where o.id = r.id;
    if on_limit = 'cancel' then
        -- Runs that wait for their turn count, too: they are older than this one.
        others := array(select o.id from pipelines.run o
            where o.pipeline_id = r.pipeline_id and o.concurrency_key = left(admit.key, 1000)
            and o.finished_at is null and o.cancels is null and (o.is_admitted or o.status = 'waiting')
            and o.id <> r.id order by o.id);
        foreach other in array others[:cardinality(others) - at_most + 1] loop
            perform pipelines.lock_run(other);
            perform pipelines.stop_run(other, jsonb_build_object('code', 'cancelled', 'detail',
                format('The run %s with the same concurrency key has begun.', r.id)), false);
        end loop;
    end if;
    -- One that is being cancelled keeps its place until it has ended.
    update pipelines.run o set is_admitted = at_most > (
        select count(*) from pipelines.run g where g.id = any (going) and g.finished_at is null)
    where o.id = r.id returning o.* into r;
    if not r.is_admitted then
        -- Its own job ends now by itself.
        update pipelines.run o set status = 'waiting', job_id = null where o.id = r.id;
        perform pipelines.tell('run.waiting', r.pipeline_id, r.id, jsonb_build_object('run', r.id, 'status', 'waiting'));
        perform pipelines.drive(r.id, r.deadline_at) where r.deadline_at is not null;
        return false;
    end if;
    return true;
end
$$;
grant execute on function pipelines.admit to gather_pipeline_run;
