-- Makes a schedule of an account, or changes one of its own. Answers its id; null if the account has no such schedule.
-- Refuses by the constraints account_active and schedule_count.
--   id      null: a new one
--   said    {"id": that of a new one, if it is known already, "name", "times", "action", "scopes", "message", "pipeline_id", "overlap", "catch_up_max",
--           "catch_up_within_ms", "pause_after_failures"}; of a schedule that changes, `times` and `action` may be absent,
--           and stay then with what belongs to them
--   due_at, next_at   of new times the one that comes next, and when that fires, in milliseconds
create or replace function pipelines.put_schedule(account uuid, id uuid, said jsonb, due_at bigint, next_at bigint)
returns uuid
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    made uuid := put_schedule.id;
    new pipelines.schedule := jsonb_populate_record(null::pipelines.schedule, said);
begin
    perform identity.require_active(account);
    if made is null then
        if (select count(*) from pipelines.schedule s where s.owner_id = account) >= 1000 then
            perform identity.refuse('schedule_count');
        end if;
        insert into pipelines.schedule as s (id, owner_id, name, times, action, scopes, message, pipeline_id, overlap, catch_up_max,
            catch_up_within_ms, pause_after_failures, due_at, next_at)
        values (coalesce(new.id, platform.uuid_v7()), account, new.name, new.times, new.action, coalesce(new.scopes, ''), new.message, new.pipeline_id, new.overlap, new.catch_up_max,
            new.catch_up_within_ms, new.pause_after_failures, pipelines.time_of(put_schedule.due_at),
            pipelines.time_of(put_schedule.next_at))
        returning s.id into made;
    else
        update pipelines.schedule s
        set name = new.name, overlap = new.overlap, catch_up_max = new.catch_up_max,
            catch_up_within_ms = new.catch_up_within_ms, pause_after_failures = new.pause_after_failures
        where s.id = made and s.owner_id = account;
        if not found then
            return null;
        end if;
        update pipelines.schedule s
        set times = new.times, due_at = pipelines.time_of(put_schedule.due_at),
            next_at = pipelines.time_of(put_schedule.next_at)
        where s.id = made and said ? 'times';
        update pipelines.schedule s
        set action = new.action, scopes = new.scopes, message = new.message, pipeline_id = new.pipeline_id
        where s.id = made and said ? 'action';
    end if;
    if put_schedule.next_at is not null then
        perform pipelines.plan_dispatch(pipelines.time_of(put_schedule.next_at));
    end if;
    return made;
end
$$;
grant execute on function pipelines.put_schedule to gather_pipelines;
