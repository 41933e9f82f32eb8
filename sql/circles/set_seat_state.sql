-- Lets an agent think (`awake`), wait with its turns (`paused`; one that runs is finished first), or end them (`stopped`).
create or replace function circles.set_seat_state(account uuid, state text) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
    update circles.seat x set state = set_seat_state.state where x.account_id = account;
    if state = 'stopped' then
        perform circles.stop_turn(x.id, 'stopped') from circles.turn x
        where x.agent_id = account and x.finished_at is null;
    elsif state = 'awake' then
        perform circles.unpark_turn(x.id) from circles.turn x
        where x.agent_id = account and x.finished_at is null and x.job_id is null;
    else
        perform circles.park_turn(x.id) from circles.turn x
        where x.agent_id = account and x.status = 'queued' and x.finished_at is null;
    end if;
end
$$;
