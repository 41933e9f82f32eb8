-- Ends a job that has worked long enough: another one goes on with its turn. Whether there is a turn to go on with.
create or replace function circles.hand_on(turn uuid, holder text) returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    t circles.turn := circles.held_turn(turn, holder);
begin
    if t.id is null then
        return false;
    end if;
    update circles.turn x set holder = null, idle_attempts = 0 where x.id = t.id;
    perform circles.enqueue_turn(t.id);
    return true;
end
$$;
grant execute on function circles.hand_on(uuid, text) to gather_agent_turn;
