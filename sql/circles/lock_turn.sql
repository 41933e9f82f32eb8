-- Locks what a message of a turn's agent needs, in the order in which whoever posts and whoever leaves locks it: the
-- account, the channel, the turn.
create or replace function circles.lock_turn(turn uuid) returns circles.turn
language plpgsql
as $$
declare
    t circles.turn;
begin
    select x.* into t from circles.turn x where x.id = turn;
    perform from identity.account a where a.id = t.agent_id for key share;
    perform from channels.channel c where c.id = t.channel_id for no key update;
    select x.* into t from circles.turn x where x.id = turn for update;
    return t;
end
$$;
