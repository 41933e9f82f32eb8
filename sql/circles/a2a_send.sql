-- Posts a message of a client of A2A, in the conversation that it names or in a new one, and returns `{task}`, the id of the
-- turn that answers it, or `{refused}`. The same message again is the same task. A message to a task that goes on is told to
-- whoever works on it, and belongs to it.
create or replace function circles.a2a_send(account uuid, kind text, door uuid, context uuid, task uuid, message jsonb)
returns jsonb
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    v circles.conversation;
    t circles.turn;
    posted jsonb;
    made uuid;
    first_one uuid;
    sent bigint;
begin
    perform identity.require_active(account);
    if kind = 'agents' and social.blocks(door, account) then
        return '{"refused": "no-task"}';
    end if;
    if task is not null then
        -- As whoever posts, so that the task does not end meanwhile.
        select x.* into t from circles.find_turn(account, task) x;
        perform from channels.lock(account, t.channel_id::text);
        select x.* into t from circles.find_turn(account, task) x;
        if t.id is null then
            return '{"refused": "no-task"}';
        elsif circles.a2a_state(kind, t) in ('TASK_STATE_COMPLETED', 'TASK_STATE_CANCELED', 'TASK_STATE_FAILED') then
            return '{"refused": "task-ended"}';
        elsif context <> t.channel_id then
            return '{"refused": "other-context"}';
        end if;
        context := t.channel_id;
    end if;
    -- A message that was sent before is known by its author, whatever conversation was made for it.
    select x.* into v from circles.conversation x join channels.message m on m.channel_id = x.channel_id
    where context is null and x.created_by = account and x.door = a2a_send.door and m.author_id = account
    and m.client_id = message ->> 'client_id' limit 1;
    if v.channel_id is null then
        select x.* into v from circles.conversation x
        where x.channel_id = context and x.created_by = account and x.door = a2a_send.door;
    end if;
    if v.channel_id is null and context is not null then
        return '{"refused": "no-context"}';
    elsif v.channel_id is null then
        v := circles.a2a_open(account, kind, door);
    end if;
    perform set_config('circles.task', coalesce(task::text, ''), true);
    posted := circles.post_message(account, v.channel_id, message);
    if posted ? 'refused' then
        return jsonb_build_object('refused', posted ->> 'refused');
    end if;
    sent := (posted #>> '{ok,message,seq}')::bigint;
    made := coalesce((posted #>> '{ok,turns,0,id}')::uuid, (
        select x.id from circles.turn x where x.cause_id = (posted #>> '{ok,message,id}')::uuid order by x.id limit 1));
    if made is null and task is not null then
        -- Without an addressee, whoever works on the task is told.
        update circles.turn x set wanted_seq = greatest(x.wanted_seq, sent)
        where x.finished_at is null and x.id in (select r.id from circles.a2a_run(kind, t) r);
        made := task;
    end if;
    if made is null then
        -- A circle where nobody is addressed: the first one answers.
        select m.account_id into first_one from circles.member m join circles.seat s on s.account_id = m.account_id
        where m.circle_id = v.circle_id and m.role <> 'observer' and not social.blocks(m.account_id, account) order by m.place, m.account_id limit 1;
        if first_one is null then
            return '{"refused": "nobody"}';
        end if;
        made := circles.start_turn(v.channel_id, first_one, (posted #>> '{ok,message,id}')::uuid,
            sent, 0, null);
    end if;
    perform set_config('circles.task', '', true);
    return jsonb_build_object('task', coalesce(task, made));
end
$$;
grant execute on function circles.a2a_send(uuid, text, uuid, uuid, uuid, jsonb) to gather_circles;
