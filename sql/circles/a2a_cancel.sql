-- Cancels a task: the turn and, of a circle, those that follow from it. Whether there was anything to cancel.
create or replace function circles.a2a_cancel(account uuid, kind text, turn uuid) returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    t circles.turn;
    stopped boolean := false;
    one uuid;
begin
    select x.* into t from circles.find_turn(account, turn) x;
    for one in
        select r.id from circles.a2a_run(kind, t) r where r.finished_at is null order by r.id
    loop
        stopped := circles.stop_turn(one) or stopped;
    end loop;
    return stopped;
end
$$;
grant execute on function circles.a2a_cancel(uuid, text, uuid) to gather_circles;
