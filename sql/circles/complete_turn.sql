-- Ends a turn that waits for a speaker with a program of its own: with what it says, or null if it passes.
create or replace function circles.complete_turn(account uuid, turn uuid, message jsonb) returns jsonb
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    t circles.turn := circles.lock_turn(turn);
    job uuid := t.job_id;
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
    perform circles.end_turn(t, 'completed', case when message is null then 'silent' end, message);
    perform jobs.cancel(job, null) where job is not null;
    return jsonb_build_object('ok', (select circles.turn_json(x) from circles.turn x where x.id = t.id));
end
$$;
grant execute on function circles.complete_turn(uuid, uuid, jsonb) to gather_circles;
