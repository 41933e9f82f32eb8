-- Lets an agent think (`awake`), wait with its turns (`paused`; one that runs is finished first), or end them (`stopped`).
create or replace function circles.set_seat_state(account uuid, state text) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    t circles.turn;
begin
    update circles.seat x set state = set_seat_state.state where x.account_id = account;
    if state = 'stopped' then
        perform circles.stop_turn(x.id, 'stopped') from circles.turn x
        where x.agent_id = account and x.finished_at is null;
    elsif state = 'awake' then
        perform circles.enqueue_turn(x.id) from circles.turn x
        where x.agent_id = account and x.status in ('queued', 'running') and x.finished_at is null and x.job_id is null;
    else
        for t in
            select x.* from circles.turn x
            where x.agent_id = account and x.status = 'queued' and x.finished_at is null and x.job_id is not null for update
        loop
            update circles.turn x set job_id = null where x.id = t.id;
            perform jobs.cancel(t.job_id, null);
        end loop;
    end if;
end
$$;
