-- Keeps what the agent of a turn recalled, so that each attempt thinks with the same. `is_tainted`: strangers' words are
-- in it.
create or replace function circles.keep_recalled(turn uuid, holder text, recalled text, is_tainted boolean) returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    t circles.turn := circles.held_turn(turn, holder);
begin
    update circles.turn x set recalled = keep_recalled.recalled, tainted = x.tainted or is_tainted where x.id = t.id;
    return found;
end
$$;
grant execute on function circles.keep_recalled(uuid, text, text, boolean) to gather_agent_turn;
