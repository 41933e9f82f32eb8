-- Cancels one turn, as `circles.stop_turn` does, and lets its circle go on without it: see `circles.after_turn`.
create or replace function circles.cut_turn(turn uuid, reason text default null) returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    t circles.turn;
begin
    select x.* into t from circles.turn x where x.id = cut_turn.turn;
    -- As whoever posts: the account, the channel, and then the turn.
    perform from identity.account a where a.id = t.agent_id for key share;
    perform from channels.channel c where c.id = t.channel_id for no key update;
    if not circles.stop_turn(t.id, cut_turn.reason) then
        return false;
    end if;
    perform circles.after_turn(t.id);
    return true;
end
$$;
