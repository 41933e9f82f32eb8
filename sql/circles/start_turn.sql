-- Begins a turn of an agent, and returns its id. The caller holds the channel. What the agent has not begun yet, it begins
-- with everything that was written until then; what it does while more is written, `on_busy` of the circle's rules says:
-- it goes on and speaks again (`queue`), is told before its next step (`steer`), or is cancelled (`interrupt`). What is sent to a
-- task, see `circles.a2a_send`, is told to the turn that works on it. A turn of an
-- agent that is stopped is over as it begins. A `prompt` stands for what no message says: nobody vouches for it. One that is
-- `is_endless` meets its limit as it begins: see `circles.is_endless`. A `fork` begins with steps of another turn: {turn,
-- after_step, seqs}, see `circles.copy_steps`.
create or replace function circles.start_turn(channel uuid, agent uuid, cause uuid, cause_seq bigint, hops integer,
    visible_to uuid[], prompt text default null, is_endless boolean default false, fork jsonb default null) returns uuid
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    c circles.circle;
    s circles.seat;
    t circles.turn;
    number_of_version integer;
    on_busy text;
    over text;
    task uuid := nullif(current_setting('circles.task', true), '')::uuid;
    -- The prompts that wait together have a size, and what is left out is said.
    too_much text := 'More has happened since, which is not told here: look for yourself.';
begin
    select x.* into c from circles.conversation v join circles.circle x on x.id = v.circle_id
    where v.channel_id = channel;
    select x.* into s from circles.seat x where x.account_id = agent and x.state <> 'elsewhere';
    on_busy := case when task is null then coalesce(c.rules ->> 'on_busy', s.on_busy, 'queue') else 'steer' end;
    -- As whoever decides about them locks them: before their turns.
    perform from inbox.approval a join circles.step p on p.approval_id = a.id and p.status = 'started'
    join circles.turn x on x.id = p.turn_id
    where x.channel_id = channel and x.agent_id = agent and x.finished_at is null for update of a;
    for t in
        select x.* from circles.turn x
        where x.channel_id = channel and x.agent_id = agent and x.finished_at is null
        and x.visible_to is not distinct from start_turn.visible_to
        order by task in (x.id, x.task_id) desc nulls last, x.id for update
    loop
        if t.status = 'queued' or t.waiting_for = 'speaker' or on_busy = 'steer' and start_turn.prompt is null then
            update circles.turn x set wanted_seq = greatest(x.wanted_seq, start_turn.cause_seq),
                prompt = case when start_turn.prompt is null or right(x.prompt, length(too_much)) = too_much then x.prompt
                    when length(x.prompt) + length(start_turn.prompt) > 60000 then concat_ws(E'\n\n', x.prompt, too_much)
                    else concat_ws(E'\n\n', x.prompt, start_turn.prompt) end,
                tainted = x.tainted or start_turn.prompt is not null
            where x.id = t.id;
            return t.id;
        elsif on_busy = 'interrupt' then
            perform circles.stop_turn(t.id);
        end if;
    end loop;
    over := case when s.state = 'stopped' then 'stopped'
        when is_endless or start_turn.hops > coalesce((c.rules ->> 'hops')::integer, 8) then 'hops' end;
    if s.account_id is not null then
        number_of_version := coalesce(s.persona_version, (select p.version from circles.persona p where p.id = s.persona_id));
    end if;
    insert into circles.turn as x (channel_id, circle_id, agent_id, persona_id, persona_version, persona_digest, cause_id,
        cause_seq, task_id, wanted_seq, hops, visible_to, prompt, tainted, status, waiting_for, reason, finished_at, deadline_at,
        forked_from, forked_after)
    values (channel, c.id, agent, s.persona_id, number_of_version, (
            select v.digest from circles.persona_version v where v.persona_id = s.persona_id and v.number = number_of_version),
        cause, start_turn.cause_seq, task, start_turn.cause_seq, start_turn.hops, start_turn.visible_to,
        start_turn.prompt, start_turn.prompt is not null,
        case over when 'stopped' then 'cancelled' when 'hops' then 'limited' else
            case when s.account_id is null then 'waiting' else 'queued' end end,
        case when over is null and s.account_id is null then 'speaker' end,
        over, case when over is not null then clock_timestamp() end,
        case when s.account_id is null then now() + coalesce((c.rules ->> 'turn_ms')::integer, 60000) * interval '1 millisecond' end,
        (fork ->> 'turn')::uuid, (fork ->> 'after_step')::integer)
    returning x.* into t;
    if fork is not null then
        perform circles.copy_steps(t.id, case when jsonb_typeof(fork -> 'seqs') = 'array' then
            array(select jsonb_array_elements_text(fork -> 'seqs')::bigint) end);
    end if;
    if t.status = 'queued' then
        perform circles.enqueue_turn(t.id);
    elsif t.status = 'waiting' then
        -- A speaker with a program of its own is passed over in time.
        perform circles.enqueue_turn(t.id, t.deadline_at);
    end if;
    perform circles.tell_turn(t.id, t.status);
    return t.id;
end
$$;
