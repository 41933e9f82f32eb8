-- Takes its job from a turn that has not begun, so that it waits.
create or replace function circles.park_turn(turn uuid) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    t circles.turn;
begin
    select x.* into t from circles.turn x
    where x.id = park_turn.turn and x.status = 'queued' and x.job_id is not null for update;
    if t.id is not null then
        update circles.turn x set job_id = null where x.id = t.id;
        perform jobs.cancel(t.job_id, null);
    end if;
end
$$;
