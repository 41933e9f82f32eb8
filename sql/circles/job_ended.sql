-- A job that ended without ending its turn takes the turn with it: nothing stays running without anybody who works on it.
create or replace function circles.job_ended() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    one uuid;
    t circles.turn;
begin
    for one in select x.id from circles.turn x where x.job_id = new.id and x.finished_at is null loop
        if new.status = 'cancelled' then
            perform circles.cut_turn(one);
            continue;
        end if;
        t := circles.lock_turn(one);
        perform circles.end_turn(t, 'failed', 'stuck', null) where t.finished_at is null and t.job_id = new.id;
    end loop;
    return null;
end
$$;
create or replace trigger turn_job_ended after update of status on jobs.job
for each row when (new.kind = 'agent-turn' and new.status in ('dead', 'cancelled') and old.status is distinct from new.status)
execute function circles.job_ended();
