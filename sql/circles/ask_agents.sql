-- Asks other agents of the same owner for turns, side by side: writes that the calls of tools begin, opens a conversation for
-- each with its question, and lets the asker wait until all have answered. Returns `{count}`, which were asked: the first ones.
-- If there is none, `{stop}` or `{refused}`, which is for the model. Null: the turn is another's or has ended. All of it is
-- one transaction, so a question is asked once.
--   questions  [{asked: {of_step, call, name, arguments}, agent, message: {body, html, plain, words, names, all}}]
create or replace function circles.ask_agents(turn uuid, holder text, questions jsonb) returns jsonb
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    t circles.turn := circles.lock_turn(turn);
    s circles.seat;
    q jsonb;
    begun jsonb;
    count integer := 0;
    made channels.channel;
    posted jsonb;
    child uuid;
begin
    if t.id is null or t.holder is distinct from ask_agents.holder or t.status <> 'running' then
        return null;
    end if;
    for q in select jsonb_array_elements(questions) loop
        select x.* into s from circles.seat x
        join circles.seat own on own.account_id = t.agent_id and own.owner_id = x.owner_id
        join identity.account a on a.id = x.account_id and a.status = 'active'
        where x.account_id = (q ->> 'agent')::uuid and x.account_id <> t.agent_id and x.state not in ('stopped', 'elsewhere');
        begun := case when s.account_id is null then '{"refused": "There is no such agent any more."}'::jsonb
            when t.depth >= 5 then '{"refused": "Agents ask each other at most five deep."}'
            else circles.begin_tool_step(turn, holder, q -> 'asked', null) end;
        -- What can't be asked now has its turn when the others have answered.
        exit when begun is null or begun ?| array['stop', 'refused'];
        count := count + 1;
        insert into channels.channel as h (kind, private, topic, created_by)
        values ('conversation', true, '', t.agent_id) returning h.* into made;
        insert into channels.member (channel_id, account_id, role)
        select distinct on (m.id) made.id, m.id, m.role
        from (values (t.agent_id, 'owner'), (s.account_id, 'member'), (s.owner_id, 'member')) m (id, role)
        order by m.id, m.role desc;
        insert into circles.conversation (channel_id, asked_by, created_by) values (made.id, t.id, t.agent_id);
        posted := channels.post_message(t.agent_id, made.id::text, q -> 'message');
        if posted ? 'refused' then
            raise exception 'a question was refused: %', posted ->> 'refused';
        end if;
        child := circles.start_turn(made.id, s.account_id, (posted #>> '{ok,message,id}')::uuid, 1, 0, null);
        update circles.turn x set parent_id = t.id, parent_step = (begun ->> 'number')::integer, depth = t.depth + 1,
            deadline_at = t.deadline_at, tainted = t.tainted
        where x.id = child;
    end loop;
    if count = 0 then
        return begun;
    end if;
    update circles.turn x set status = 'waiting', waiting_for = 'speaker', job_id = null where x.id = t.id;
    -- The asker waits no longer than its turn may take.
    perform circles.enqueue_turn(t.id, t.deadline_at);
    perform circles.tell_turn(t.id, 'waiting');
    return jsonb_build_object('count', count);
end
$$;
grant execute on function circles.ask_agents(uuid, text, jsonb) to gather_agent_turn;
