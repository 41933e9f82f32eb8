-- Writes a call of a tool that never begins: it is malformed, unknown or denied. Returns the step's number, or `{stop}` with
-- the reason why the turn ends instead. Null: the turn is another's or has ended.
--   asked    {of_step, call, name, arguments}
--   refusal  {status, why, fingerprint}
create or replace function circles.refuse_tool_step(turn uuid, holder text, asked jsonb, refusal jsonb) returns jsonb
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    t circles.turn := circles.held_turn(turn, holder);
    s circles.step;
    last integer;
begin
    if t.id is null then
        return null;
    end if;
    update circles.step x set status = refusal ->> 'status', text = refusal ->> 'why',
        fingerprint = refusal ->> 'fingerprint', ended_at = clock_timestamp()
    where x.turn_id = t.id and x.of_step = (asked ->> 'of_step')::integer
    and x.call = (asked ->> 'call')::integer and x.status = 'started' returning x.* into s;
    if s.turn_id is null then
        select coalesce(max(n.number), 0) into last from circles.step n where n.turn_id = t.id;
        if last >= (circles.limits_of(t) ->> 'steps')::integer then
            return '{"stop": "steps"}';
        end if;
        insert into circles.step as x (turn_id, number, kind, status, name, of_step, call, arguments, text, fingerprint, ended_at)
        values (t.id, last + 1, 'tool', refusal ->> 'status', asked ->> 'name', (asked ->> 'of_step')::integer,
            (asked ->> 'call')::integer, asked -> 'arguments', refusal ->> 'why', refusal ->> 'fingerprint', clock_timestamp())
        returning x.* into s;
    end if;
    update circles.turn x set idle_attempts = 0 where x.id = t.id;
    perform circles.tell_step(s);
    return jsonb_build_object('number', s.number);
end
$$;
grant execute on function circles.refuse_tool_step(uuid, text, jsonb, jsonb) to gather_agent_turn;
