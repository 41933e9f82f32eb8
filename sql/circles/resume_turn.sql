-- Begins a turn, or goes on with it, for an attempt of its job. Returns all that the attempt has to know; null if there is
-- nothing to do any more. Calls of models that were cut off count as failed, and are made again as other steps; what a cut
-- off call of a tool means, the attempt decides.
create or replace function circles.resume_turn(turn uuid, job uuid, attempt integer) returns jsonb
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    t circles.turn;
    s circles.seat;
    o identity.account;
begin
    t := circles.lock_turn(turn);
    if t.id is null or t.job_id is distinct from job or t.finished_at is not null then
        return null;
    elsif t.waiting_for = 'speaker' and t.persona_id is null then
        perform circles.end_turn(t, 'limited', 'time', null);
        return null;
    elsif t.status = 'waiting' then
        return null;
    end if;
    select x.* into s from circles.seat x where x.account_id = t.agent_id;
    select a.* into o from identity.account a where a.id = s.owner_id;
    if o.status is distinct from 'active' or not exists (
        select from identity.account a where a.id = t.agent_id and a.status = 'active') then
        perform circles.stop_turn(t.id, 'suspended');
        return null;
    elsif t.idle_attempts >= 3 then
        update circles.turn x set status = 'failed', reason = 'stuck', finished_at = clock_timestamp() where x.id = t.id;
        perform circles.close_steps(t.id), circles.tell_turn(t.id, 'failed');
        return null;
    end if;
    update circles.turn x set status = 'running', holder = job || '/' || attempt, idle_attempts = x.idle_attempts + 1,
        started_at = coalesce(x.started_at, clock_timestamp()),
        deadline_at = coalesce(x.deadline_at, clock_timestamp()
            + (circles.limits_of(x) ->> 'turn_ms')::bigint * interval '1 millisecond')
    where x.id = t.id;
    update circles.step x set status = 'failed', ended_at = clock_timestamp(), text = coalesce(t.partial, '')
    where x.turn_id = t.id and x.status = 'started' and x.kind <> 'tool';
    perform circles.tell_turn(t.id, 'started') where t.status = 'queued';
    return circles.turn_context(t.id);
end
$$;
grant execute on function circles.resume_turn(uuid, uuid, integer) to gather_agent_turn;
