-- Locks a turn for the attempt of a job that works on it. Null if the turn has ended or is another's: nothing that a
-- worker writes counts which was taken for dead.
create or replace function circles.held_turn(turn uuid, holder text) returns circles.turn
language sql
as $$
    select t.* from circles.turn t
    where t.id = held_turn.turn and t.holder = held_turn.holder and t.status = 'running' for update
$$;
