-- Says whose turn it is: a named speaker's or, in a circle, that of the agent which has been silent longest.
create or replace function circles.next_turn(account uuid, conversation uuid, speaker text) returns jsonb
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    v circles.conversation;
    chosen uuid;
    latest record;
    made uuid;
begin
    select x.* into v from circles.find_conversation(account, conversation) x;
    if v.channel_id is null then
        return circles.refused('conversation-not-found');
    elsif v.status <> 'open' then
        return circles.refused('conversation-closed');
    elsif coalesce(circles.role_of(account, v.circle_id), case when v.circle_id is null then 'member' end, 'observer')
        = 'observer' then
        return circles.refused('not-a-member');
    end if;
    perform from channels.channel c where c.id = conversation for no key update;
    if exists (select from circles.turn t where t.channel_id = conversation and t.finished_at is null) then
        return circles.refused('turn-running');
    end if;
    select b.account_id into chosen
    from channels.member b join identity.account a on a.id = b.account_id and a.kind = 'agent' and a.status = 'active'
    left join circles.member m on m.circle_id = v.circle_id and m.account_id = b.account_id
    left join circles.seat s on s.account_id = b.account_id
    where b.channel_id = conversation and b.account_id <> account and m.role is distinct from 'observer'
    and (s.account_id is not null or m.account_id is not null) and not social.blocks(b.account_id, account)
    and (v.circle_id is not null or s.owner_id = account)
    and (speaker is null or speaker in (a.name, a.id::text))
    order by (select max(t.created_at) from circles.turn t
        where t.channel_id = conversation and t.agent_id = b.account_id) nulls first, m.place, b.account_id
    limit 1;
    if chosen is null then
        return circles.refused('speaker-not-found');
    elsif circles.is_crowded(conversation) then
        return circles.refused('too-many-turns', 10000);
    end if;
    select m.id, m.seq into latest from channels.readable_message(account) m
    where m.channel_id = conversation order by m.seq desc limit 1;
    made := circles.start_turn(conversation, chosen, latest.id, coalesce(latest.seq, 0), 0, null);
    return jsonb_build_object('ok', (select circles.turn_json(x) from circles.turn x where x.id = made));
end
$$;
grant execute on function circles.next_turn(uuid, uuid, text) to gather_circles;
