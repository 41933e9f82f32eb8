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
    until timestamptz;
begin
    -- Whoever was asked has not answered in time. People who decide about it may take theirs.
    select x.* into t from circles.turn x where x.id = resume_turn.turn and x.job_id = resume_turn.job
    and x.persona_id is not null and x.waiting_for = 'speaker';
    if t.id is not null then
        with recursive asked as (
            select x.* from circles.turn x where x.parent_id = t.id and x.finished_at is null
            union all
            select x.* from asked a join circles.turn x on x.parent_id = a.id and x.finished_at is null)
        select max(a.deadline_at) into until from asked a where a.waiting_for = 'approval';
        if until is not null then
            update circles.turn x set deadline_at = greatest(x.deadline_at, until) where x.id = t.id;
            perform circles.enqueue_turn(t.id, greatest(until, clock_timestamp() + interval '10 seconds'));
        else
            -- The asker goes on with that, and ends.
            perform circles.stop_turn(x.id) from circles.turn x where x.parent_id = t.id and x.finished_at is null;
        end if;
        return null;
    end if;
    t := circles.lock_turn(turn);
    if t.id is null or t.job_id is distinct from job or t.finished_at is not null then
        return null;
    elsif t.waiting_for = 'speaker' then
        perform circles.end_turn(t, 'limited', 'time', null);
        return null;
    elsif t.status = 'waiting' then
        return null;
    end if;
    select x.* into s from circles.seat x where x.account_id = t.agent_id;
    select a.* into o from identity.account a where a.id = s.owner_id;
    if o.status is distinct from 'active' or not exists (
        select from identity.account a where a.id = t.agent_id and a.status = 'active') then
        perform circles.cut_turn(t.id, 'suspended');
        return null;
    elsif s.state = 'stopped' then
        -- It was stopped while the turn was begun.
        perform circles.cut_turn(t.id, 'stopped');
        return null;
    elsif t.status = 'queued' and (s.state = 'paused' or exists (
        select from circles.conversation v where v.channel_id = t.channel_id and v.status <> 'open')) then
        update circles.turn x set job_id = null where x.id = t.id;
        return null;
    elsif t.idle_attempts >= 3 then
        perform circles.end_turn(t, 'failed', 'stuck', null);
        return null;
    end if;
    update circles.turn x set status = 'running', holder = job || '/' || attempt, idle_attempts = x.idle_attempts + 1,
        started_at = coalesce(x.started_at, clock_timestamp()),
        deadline_at = coalesce(x.deadline_at, clock_timestamp()
            + (circles.limits_of(x) ->> 'turn_ms')::bigint * interval '1 millisecond')
    where x.id = t.id;
    update circles.step x set status = 'failed', ended_at = clock_timestamp(), text = coalesce(t.partial, '')
    where x.turn_id = t.id and x.status = 'started' and x.kind <> 'tool';
    perform circles.open_notebook(t);
    perform circles.tell_turn(t.id, 'started') where t.status = 'queued';
    return circles.turn_context(t.id);
end
$$;
grant execute on function circles.resume_turn(uuid, uuid, integer) to gather_agent_turn;
