-- Writes how a summary ended. One that succeeded is kept for later turns of the agent in the conversation, unless it
-- answers a whisper, or one of the messages in it was changed meanwhile. Whether the turn is still this attempt's.
--   ended  {status, text, input_tokens, output_tokens}
create or replace function circles.end_summary(turn uuid, holder text, number integer, ended jsonb) returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    -- Whoever changes a message holds the channel too.
    t circles.turn := circles.lock_turn(turn);
    s circles.step;
begin
    if circles.end_step(turn, holder, number, ended) is null then
        return false;
    end if;
    select x.* into s from circles.step x where x.turn_id = t.id and x.number = end_summary.number;
    insert into circles.summary as y (channel_id, agent_id, seq, text, tainted)
    select t.channel_id, t.agent_id, s.read_seq, s.text, t.tainted
    where s.status = 'succeeded' and t.visible_to is null and not exists (
        select from channels.message m
        where m.channel_id = t.channel_id and m.seq <= s.read_seq
        -- A change that was under way when the messages were read bears an earlier time.
        and greatest(m.edited_at, m.deleted_at, m.hidden_at) > s.begun_at - interval '1 minute')
    on conflict on constraint summary_pkey do update
    set seq = excluded.seq, text = excluded.text, tainted = excluded.tainted;
    return true;
end
$$;
grant execute on function circles.end_summary(uuid, text, integer, jsonb) to gather_agent_turn;
