-- Notes that a turn has read what strangers wrote.
create or replace function circles.taint_turn(turn uuid, holder text) returns void
language sql security definer set search_path = pg_catalog, pg_temp
as $$
    update circles.turn t set tainted = true
    where t.id = taint_turn.turn and t.holder = taint_turn.holder and t.finished_at is null and not t.tainted
$$;
grant execute on function circles.taint_turn(uuid, text) to gather_agent_turn;
