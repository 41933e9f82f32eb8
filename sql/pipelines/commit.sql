-- Commits what a driver has done, all or nothing, while its epoch holds.
--   steps    the changes of steps, as `pipelines.record_steps` takes them
--   seen     the news that the driver knows
--   ending   null, or {"status", "result", "error"}: the run ends
--   parks    the driver has nothing to do until something happens or becomes due
--   is_spent  nothing is left of the budget, so that the run is paused
--   hands_over  nothing more is sent by this driver, and another job goes on where it has nothing else to do
-- Answers {"held": false} where the epoch has ended; else {"held", "goes_on"} and, if there is news for the driver, the
-- new "state". A run is not parked, and does not end, before its driver knows the news.
create or replace function pipelines.commit(
    run uuid, epoch integer, seen bigint, steps jsonb, ending jsonb, parks boolean, hands_over boolean,
    is_spent boolean
) returns jsonb
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    r pipelines.run;
    due timestamptz;
begin
    perform pipelines.hold_for(commit.run, commit.steps);
    if commit.ending is not null then
        perform pipelines.lock_run(commit.run);
    end if;
    select o.* into r from pipelines.run o
    where o.id = commit.run and o.epoch = commit.epoch and o.finished_at is null for update;
    if not found then
        return '{"held": false}';
    end if;
    perform pipelines.record_steps(r, commit.steps);
    select o.* into r from pipelines.run o where o.id = r.id;
    if commit.is_spent and not r.is_paused then
        update pipelines.run o set is_paused = true, news = o.news + 1 where o.id = r.id returning o.* into r;
        perform inbox.notify(array[r.account_id], 'run', 'The budget of a run is spent',
            'It is paused. Resume it with a larger budget, or cancel it.', '/runs/' || r.id, null, 'run:' || r.id);
    end if;
    if r.news > commit.seen then
        return jsonb_build_object('held', true, 'goes_on', true, 'state', pipelines.state(r));
    elsif commit.ending is not null then
        perform pipelines.end_run(r.id, ending ->> 'status', ending -> 'result', nullif(ending -> 'error', 'null'));
        return '{"held": true, "goes_on": false}';
    elsif commit.parks and r.is_paused then
        update pipelines.run o set status = 'paused', job_id = null where o.id = r.id;
        perform pipelines.tell('run.paused', r.pipeline_id, r.id, jsonb_build_object('run', r.id, 'status', 'paused'));
        return '{"held": true, "goes_on": false}';
    elsif commit.parks and commit.hands_over then
        perform pipelines.drive(r.id, null);
        return '{"held": true, "goes_on": false}';
    end if;
    select least(r.deadline_at, min(s.wake_at), min(s.deadline_at)) into due
    from pipelines.step s
    where s.run_id = r.id and s.finished_at is null and (s.status = 'waiting' or not commit.hands_over);
    if due <= clock_timestamp() then
        return jsonb_build_object('held', true, 'goes_on', true, 'state', pipelines.state(r));
    end if;
    if not commit.parks then
        return '{"held": true, "goes_on": true}';
    end if;
    -- Its own job ends now by itself.
    update pipelines.run o
    set status = case o.status when 'cancelling' then o.status else 'waiting' end, job_id = null where o.id = r.id
    returning o.* into r;
    if r.status = 'waiting' then
        perform pipelines.tell('run.waiting', r.pipeline_id, r.id,
            jsonb_build_object('run', r.id, 'status', 'waiting'));
    end if;
    if due is not null then
        perform pipelines.drive(r.id, due);
    end if;
    return '{"held": true, "goes_on": false}';
end
$$;
grant execute on function pipelines.commit to gather_pipeline_run;
