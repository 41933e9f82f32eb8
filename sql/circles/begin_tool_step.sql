-- Writes that a call of a tool begins, or, with an `approval`, asks for that: the turn then waits, and its job ends.
-- Returns the step's number, or `{stop}`. Null: the turn is another's or has ended. What was approved begins here too.
--   asked  {of_step, call, name, arguments}
--   approval  {question, detail, facts, digest}
create or replace function circles.begin_tool_step(turn uuid, holder text, asked jsonb, approval jsonb) returns jsonb
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    t circles.turn := circles.held_turn(turn, holder);
    s circles.step;
    is_again boolean;
    last integer;
    question uuid;
    until timestamptz;
begin
    if t.id is null then
        return null;
    end if;
    -- It was approved, or a worker was lost before it ended.
    select x.* into s from circles.step x
    where x.turn_id = t.id and x.of_step = (asked ->> 'of_step')::integer and x.call = (asked ->> 'call')::integer
    and x.status = 'started';
    is_again := s.begun_at is not null;
    select coalesce(max(x.number), 0) into last from circles.step x where x.turn_id = t.id;
    if s.turn_id is null and last >= (circles.limits_of(t) ->> 'steps')::integer then
        return '{"stop": "steps"}';
    elsif t.deadline_at < clock_timestamp() then
        return '{"stop": "time"}';
    elsif s.turn_id is not null then
        update circles.step x set begun_at = clock_timestamp()
        where x.turn_id = t.id and x.number = s.number returning x.* into s;
    else
        if approval is not null then
            until := clock_timestamp() + (circles.limits_of(t) ->> 'approval_ms')::bigint * interval '1 millisecond';
            question := inbox.ask('turn:' || t.id, approval ->> 'question', approval ->> 'detail', approval ->> 'digest',
                circles.approvers_of(t.agent_id), until, t.agent_id,
                facts => approval -> 'facts' || jsonb_build_object('step', last + 1));
        end if;
        insert into circles.step as x (turn_id, number, kind, name, of_step, call, arguments, begun_at, approval_id,
            approval_digest)
        values (t.id, last + 1, 'tool', asked ->> 'name', (asked ->> 'of_step')::integer, (asked ->> 'call')::integer,
            asked -> 'arguments', case when approval is null then clock_timestamp() end, question, approval ->> 'digest')
        returning x.* into s;
        if approval is not null then
            update circles.turn x set status = 'waiting', waiting_for = 'approval', job_id = null, idle_attempts = 0,
                -- The time that people take is not the turn's.
                deadline_at = x.deadline_at + (until - clock_timestamp())
            where x.id = t.id;
            perform circles.tell_turn(t.id, 'waiting');
        end if;
    end if;
    -- A call that is cut off each time it begins makes no progress.
    update circles.turn x set idle_attempts = 0 where x.id = t.id and not is_again;
    perform circles.tell_step(s);
    return jsonb_build_object('number', s.number, 'waits', approval is not null and s.begun_at is null,
        'left_ms', circles.left_ms(t));
end
$$;
grant execute on function circles.begin_tool_step(uuid, text, jsonb, jsonb) to gather_agent_turn;
