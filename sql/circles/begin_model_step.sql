-- Writes that a call of a model begins. Returns its number, what was summed up and the messages after that, or `{stop}`
-- with the reason why the turn ends instead. Null: the turn is another's or has ended.
create or replace function circles.begin_model_step(turn uuid, holder text) returns jsonb
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    t circles.turn := circles.held_turn(turn, holder);
    limits jsonb := circles.limits_of(t);
    used record;
    latest bigint;
    summed jsonb;
    s circles.step;
begin
    if t.id is null then
        return null;
    elsif not exists (select from circles.seat x
        join identity.account a on a.id = x.account_id and a.status = 'active'
        join identity.account o on o.id = x.owner_id and o.status = 'active' where x.account_id = t.agent_id) then
        return '{"stop": "suspended"}';
    elsif exists (select from circles.turn x where x.id = t.parent_id and x.finished_at is not null) then
        return '{"stop": "cancelled"}';
    end if;
    select count(*) filter (where x.kind = 'tool') as tools, count(*) as steps, sum(x.input_tokens) as input,
        sum(x.output_tokens) as output into used
    from circles.step x where x.turn_id = t.id;
    if used.steps >= (limits ->> 'steps')::integer or used.steps - used.tools >= (select (v.task ->> 'max_turns')::integer
        from circles.conversation v where v.channel_id = t.channel_id) then
        return '{"stop": "steps"}';
    elsif t.deadline_at < clock_timestamp() then
        return '{"stop": "time"}';
    elsif used.input >= (limits ->> 'input_tokens')::bigint or used.output >= (limits ->> 'output_tokens')::bigint
        or exists (select from circles.askers_of(t.id) x
            where circles.spent_of(x.id) >= (circles.limits_of(x) ->> 'cost_microusd')::bigint) then
        return '{"stop": "budget"}';
    end if;
    select c.last_seq into latest from channels.channel c where c.id = t.channel_id;
    summed := circles.summary_of(t);
    update circles.turn x set idle_attempts = 0, partial = null where x.id = t.id;
    insert into circles.step as x (turn_id, number, kind, read_seq, begun_at)
    values (t.id, used.steps + 1, 'model', latest, clock_timestamp()) returning x.* into s;
    perform circles.tell_step(s);
    return jsonb_build_object('number', s.number, 'read_seq', latest, 'summary', summed,
        'messages', circles.turn_messages(t.id, coalesce((summed ->> 'seq')::bigint, 0)),
        'left_output', (limits ->> 'output_tokens')::bigint - used.output, 'left_ms', circles.left_ms(t));
end
$$;
grant execute on function circles.begin_model_step(uuid, text) to gather_agent_turn;
