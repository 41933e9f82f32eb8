-- Writes that the call of a model that has begun sums up instead, since the model would be told too much: everything up to
-- a message and an answer of a model. Whether the turn is still this attempt's.
create or replace function circles.sum_up(turn uuid, holder text, number integer, up_to bigint, up_to_step integer)
returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    t circles.turn := circles.held_turn(turn, holder);
    s circles.step;
begin
    update circles.step x set kind = 'summary', read_seq = up_to, covers = up_to_step
    where x.turn_id = t.id and x.number = sum_up.number and x.status = 'started' and x.kind = 'model' returning x.* into s;
    perform circles.tell_step(s) where s.turn_id is not null;
    return s.turn_id is not null;
end
$$;
grant execute on function circles.sum_up(uuid, text, integer, bigint, integer) to gather_agent_turn;
