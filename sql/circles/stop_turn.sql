-- Cancels a turn that has not ended, at once: what it is doing is cut off, and counts as cut off in its steps. Returns
-- whether it had not ended.
create or replace function circles.stop_turn(turn uuid, reason text default null) returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    t circles.turn;
begin
    -- Whoever decides about a question locks it before its turn, and whoever was asked for an answer its own turn before
    -- the asker's.
    perform from inbox.approval a join circles.step s on s.approval_id = a.id
    where s.turn_id = stop_turn.turn and s.status = 'started' for update of a;
    perform circles.stop_turn(x.id, stop_turn.reason) from circles.turn x where x.parent_id = stop_turn.turn and x.finished_at is null;
    select x.* into t from circles.turn x where x.id = turn and x.finished_at is null for update;
    if t.id is null then
        return false;
    end if;
    update circles.turn x set status = 'cancelled', reason = stop_turn.reason, waiting_for = null,
        finished_at = clock_timestamp()
    where x.id = t.id;
    perform circles.close_steps(t.id);
    if t.job_id is not null then
        perform jobs.cancel(t.job_id, null);
    end if;
    perform circles.tell_turn(t.id, 'cancelled');
    return true;
end
$$;
grant execute on function circles.stop_turn(uuid, text) to gather_circles;
