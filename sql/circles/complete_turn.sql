-- Ends a turn that waits for a speaker with a program of its own: with what it says, or null if it passes. `next` is the id or
-- name of the agent that speaks then, which the moderator of a moderated circle names, and everybody where they hand over.
create or replace function circles.complete_turn(account uuid, turn uuid, message jsonb, next text) returns jsonb
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    t circles.turn := circles.lock_turn(turn);
    job uuid := t.job_id;
    c circles.circle;
    chosen uuid;
begin
    if t.id is null or not circles.may_read_turn(account, t) then
        return circles.refused('turn-not-found');
    elsif t.agent_id <> account then
        return circles.refused('forbidden');
    elsif t.finished_at is not null then
        return circles.refused('turn-finished');
    elsif t.waiting_for is distinct from 'speaker' or t.persona_id is not null then
        return circles.refused('turn-not-waiting');
    end if;
    if next is not null then
        select x.* into c from circles.circle x where x.id = t.circle_id;
        chosen := circles.account_of(next);
        if not coalesce(c.mode = 'handoff' or c.mode = 'moderated' and t.agent_id = circles.moderator_of(c.id), false)
            or not coalesce(chosen = any (circles.able_next(t, c)), false) then
            return circles.refused('next-not-found');
        end if;
        update circles.turn x set next_id = chosen where x.id = t.id;
    end if;
    perform circles.end_turn(t, 'completed', case when message is null then 'silent' end, message);
    perform jobs.cancel(job, null) where job is not null;
    return jsonb_build_object('ok', (select circles.turn_json(x) from circles.turn x where x.id = t.id));
end
$$;
grant execute on function circles.complete_turn(uuid, uuid, jsonb, text) to gather_circles;
