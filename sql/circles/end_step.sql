-- Writes how a step ended. Null: the turn is another's or has ended.
--   ended  {status, text, calls, tainted, input_tokens, output_tokens, fingerprint, receipt}
create or replace function circles.end_step(turn uuid, holder text, number integer, ended jsonb) returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    t circles.turn := circles.held_turn(turn, holder);
    s circles.step;
begin
    if t.id is null then
        return null;
    end if;
    update circles.step x set status = ended ->> 'status', text = ended ->> 'text', calls = nullif(ended -> 'calls', 'null'),
        tainted = coalesce((ended ->> 'tainted')::boolean, false), fingerprint = ended ->> 'fingerprint',
        receipt = nullif(ended -> 'receipt', 'null'),
        input_tokens = coalesce((ended ->> 'input_tokens')::bigint, 0),
        output_tokens = coalesce((ended ->> 'output_tokens')::bigint, 0), ended_at = clock_timestamp()
    where x.turn_id = t.id and x.number = end_step.number and x.status = 'started' returning x.* into s;
    if s.turn_id is null then
        return null;
    end if;
    update circles.turn x set idle_attempts = 0 where x.id = t.id and x.idle_attempts > 0;
    update circles.turn x set tainted = true where x.id = t.id and s.tainted and not x.tainted;
    -- A call of a model that fails has told nobody anything.
    update circles.turn x set read_seq = s.read_seq where x.id = t.id and s.kind = 'model' and s.status = 'succeeded';
    perform circles.tell_step(s);
    return true;
end
$$;
grant execute on function circles.end_step(uuid, text, integer, jsonb) to gather_agent_turn;
