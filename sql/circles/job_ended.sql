-- A job that ended without ending its turn takes the turn with it: nothing stays running without anybody who works on it.
create or replace function circles.job_ended() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    t circles.turn;
begin
    for t in
        select x.* from circles.turn x where x.job_id = new.id and x.finished_at is null for update
    loop
        if new.status = 'cancelled' then
            perform circles.stop_turn(t.id);
        else
            update circles.turn x set status = 'failed', reason = 'stuck', waiting_for = null,
                finished_at = clock_timestamp()
            where x.id = t.id;
            perform circles.close_steps(t.id), circles.tell_turn(t.id, 'failed');
        end if;
    end loop;
    return null;
end
$$;
create or replace trigger turn_job_ended after update of status on jobs.job
for each row when (new.kind = 'agent-turn' and new.status in ('dead', 'cancelled') and old.status is distinct from new.status)
execute function circles.job_ended();
