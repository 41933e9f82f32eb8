-- Ends a turn with its reply, or in silence, in one transaction: the reply is posted once, whatever happens. Returns
-- `{again}` if the turn has to read first what was written meanwhile; null: it is another's or has ended.
--   message  {body, html, plain, words, names, all}, or null
create or replace function circles.conclude_turn(turn uuid, holder text, status text, reason text, message jsonb) returns jsonb
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    t circles.turn := circles.lock_turn(turn);
begin
    if t.holder is distinct from conclude_turn.holder or t.status <> 'running' then
        return null;
    elsif conclude_turn.status = 'completed' and t.wanted_seq > t.read_seq then
        return '{"again": true}';
    end if;
    return circles.end_turn(t, conclude_turn.status, conclude_turn.reason, message);
end
$$;
grant execute on function circles.conclude_turn(uuid, text, text, text, jsonb) to gather_agent_turn;
