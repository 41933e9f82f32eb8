-- Writes a call of a tool that never begins: it is malformed, unknown or denied. Null: the turn is another's or has ended.
--   asked  {of_step, call, name, arguments}
create or replace function circles.refuse_tool_step(turn uuid, holder text, asked jsonb, status text, why text) returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    t circles.turn := circles.held_turn(turn, holder);
    s circles.step;
begin
    if t.id is null then
        return null;
    end if;
    update circles.step x set status = refuse_tool_step.status, text = why, ended_at = clock_timestamp()
    where x.turn_id = t.id and x.of_step = (asked ->> 'of_step')::integer
    and x.call = (asked ->> 'call')::integer and x.status = 'started' returning x.* into s;
    if s.turn_id is null then
        insert into circles.step as x (turn_id, number, kind, status, name, of_step, call, arguments, text, ended_at)
        select t.id, coalesce(max(n.number), 0) + 1, 'tool', refuse_tool_step.status, asked ->> 'name',
            (asked ->> 'of_step')::integer, (asked ->> 'call')::integer,
            asked -> 'arguments', why, clock_timestamp()
        from circles.step n where n.turn_id = t.id returning x.* into s;
    end if;
    update circles.turn x set idle_attempts = 0 where x.id = t.id;
    perform circles.tell_step(s);
    return true;
end
$$;
grant execute on function circles.refuse_tool_step(uuid, text, jsonb, text, text) to gather_agent_turn;
