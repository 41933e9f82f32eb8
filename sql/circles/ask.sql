-- Asks an agent or a circle in the name of an account, in a conversation of its own. Answers {"conversation", "turn"}, or
-- {"refused"}: there is no such agent or circle that the account may ask, or nobody in it who answers.
--   kind     `agent` or `circle`; `ref` is its id or name
--   message  the prompt, as a message
--   task     what the turns there are held to: see `circles.conversation`
create or replace function circles.ask(account uuid, kind text, ref text, title text, message jsonb, task jsonb)
returns jsonb
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    door uuid := circles.askable(account, kind, ref);
    made channels.channel;
    posted jsonb;
    turn uuid;
    first_one uuid;
begin
    if door is null then
        return circles.refused('agent-unknown');
    end if;
    perform events.follow((task ->> 'cause')::uuid, (task ->> 'depth')::integer);
    insert into channels.channel as h (kind, private, topic, created_by)
    values ('conversation', true, left(title, 250), account) returning h.* into made;
    insert into channels.member (channel_id, account_id, role)
    select made.id, account, 'owner'
    union all
    select made.id, door, 'member' where kind = 'agent' and door <> account
    union all
    select made.id, m.account_id, 'member' from circles.member m
    where kind = 'circle' and m.circle_id = door and m.account_id <> account;
    insert into circles.conversation (channel_id, circle_id, title, created_by, task)
    values (made.id, case kind when 'circle' then door end, left(title, 200), account, task);
    posted := channels.post_message(account, made.id::text, message);
    if posted ? 'refused' then
        raise exception 'a question was refused: %', posted ->> 'refused';
    end if;
    select t.id into turn from circles.turn t where t.channel_id = made.id order by t.id limit 1;
    if turn is null then
        -- Without an addressee, the first one answers.
        select s.account_id into first_one from circles.seat s
        left join circles.member m on m.account_id = s.account_id and m.circle_id = door and m.role <> 'observer'
        where case kind when 'agent' then s.account_id = door else m.account_id is not null end
        and not social.blocks(s.account_id, account)
        order by m.place, s.account_id limit 1;
        if first_one is null then
            return circles.refused('agent-unknown');
        end if;
        turn := circles.start_turn(made.id, first_one, (posted #>> '{ok,message,id}')::uuid, 1, 0, null);
    end if;
    return jsonb_build_object('conversation', made.id, 'turn', turn);
end
$$;
