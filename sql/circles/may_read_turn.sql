-- Whether an account may see a turn: who may read its conversation and, where the turn answers a whisper, may read that.
create or replace function circles.may_read_turn(viewer uuid, t circles.turn) returns boolean
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select channels.may_read(viewer, t.channel_id)
        and (t.visible_to is null or viewer = t.agent_id or viewer = any (t.visible_to))
$$;
grant execute on function circles.may_read_turn(uuid, circles.turn) to gather_circles;
