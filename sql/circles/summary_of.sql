-- What a turn's agent has summed up: in this turn or, before it did, in an earlier one in the conversation. It is
-- `{text, seq, step, tainted}`: what it stands for ends with the message `seq` and with the answer of the model in `step`.
-- Null: nothing.
create or replace function circles.summary_of(t circles.turn) returns jsonb
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select coalesce(
        (select jsonb_build_object('text', s.text, 'seq', s.read_seq, 'step', s.covers, 'tainted', t.tainted)
        from circles.step s where s.turn_id = t.id and s.kind = 'summary' and s.status = 'succeeded'
        order by s.number desc limit 1),
        (select jsonb_build_object('text', y.text, 'seq', y.seq, 'step', 0, 'tainted', y.tainted)
        from circles.summary y where y.channel_id = t.channel_id and y.agent_id = t.agent_id))
$$;
