-- Gives a job again to a turn without one, if there is anything that it may do now. A speaker with a program of its own gets
-- its time anew.
create or replace function circles.unpark_turn(turn uuid) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    t circles.turn;
begin
    select x.* into t from circles.turn x
    where x.id = unpark_turn.turn and x.finished_at is null and x.job_id is null for update;
    if t.waiting_for = 'speaker' and t.persona_id is null then
        update circles.turn x set deadline_at = clock_timestamp() + (x.deadline_at - x.created_at)
        where x.id = t.id returning x.* into t;
    end if;
    if t.status in ('queued', 'running') then
        perform circles.enqueue_turn(t.id);
    elsif t.waiting_for = 'speaker' then
        perform circles.enqueue_turn(t.id, t.deadline_at);
    end if;
end
$$;
