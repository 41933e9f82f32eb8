-- Makes a conversation, which is a channel of that kind: of a circle's members, or of the account and others.
--   new  {circle} or {with: [account…]}, and {title, limits}; `is_fork`: it goes on from another one, so nobody is greeted
create or replace function circles.create_conversation(account uuid, new jsonb) returns jsonb
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    c circles.circle;
    made channels.channel;
    v circles.conversation;
    members uuid[];
begin
    perform identity.require_active(account);
    if new ->> 'circle' is not null then
        c := circles.lock_circle(account, new ->> 'circle');
        if c.id is null then
            return circles.refused('circle-not-found');
        elsif coalesce(circles.role_of(account, c.id), 'observer') = 'observer' then
            return circles.refused('not-a-member');
        elsif c.mode = 'moderated' and not circles.has_moderator(c.id) then
            return circles.refused('mode-needs-moderator');
        end if;
        members := array(select m.account_id from circles.member m where m.circle_id = c.id);
    else
        members := array(select distinct circles.account_of(a) from jsonb_array_elements_text(new -> 'with') a);
        -- An account that has blocked the caller looks like one that does not exist, and a seat is spoken to by its owner,
        -- where its owner has put it, or by everybody if it is public.
        if array_position(members, null) is not null
            or exists (select from unnest(members) m where social.blocks(m, account))
            or exists (select from circles.seat s where s.account_id = any (members) and s.owner_id <> account and not s.public) then
            return circles.refused('partner-not-found');
        end if;
        members := array(select distinct m from unnest(members || account) m);
    end if;
    insert into channels.channel as h (kind, private, topic, created_by)
    values ('conversation', true, coalesce(left(new ->> 'title', 250), ''), account) returning h.* into made;
    insert into channels.member (channel_id, account_id, role)
    select made.id, m, case m when account then 'owner' else 'member' end from unnest(members) m;
    insert into circles.conversation as x (channel_id, circle_id, title, created_by, limits)
    values (made.id, c.id, coalesce(new ->> 'title', ''), account, nullif(new -> 'limits', 'null')) returning x.* into v;
    perform events.emit(array['channel:' || made.id] || array(select 'account:' || m from unnest(members) m),
        'channel.created', channels.channel_json(made, null), null, account);
    perform circles.greet(made.id, account) where c.id is null and not new ? 'is_fork';
    return jsonb_build_object('ok', circles.conversation_json(v));
end
$$;
grant execute on function circles.create_conversation(uuid, jsonb) to gather_circles;
