-- Adds or takes back an account's reaction to a message; at most 50 kinds a message.
create or replace function channels.react(account uuid, ref text, message uuid, emoji text, adds boolean) returns jsonb
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    c channels.channel := channels.lock(account, ref);
    why text := channels.reach(account, c, message);
    m channels.message;
    changed boolean;
begin
    if why is not null then
        return channels.refused(why);
    end if;
    select x.* into m from channels.message x where x.id = message for no key update;
    if m.hidden_at is not null or m.locked_at is not null then
        return channels.refused('message-locked');
    elsif adds and not exists (select from channels.reaction r where r.message_id = message and r.emoji = react.emoji)
        and (select count(distinct r.emoji) from channels.reaction r where r.message_id = message) >= 50 then
        return channels.refused('too-many-reactions');
    end if;
    if adds then
        insert into channels.reaction (message_id, emoji, account_id) values (message, react.emoji, account)
        on conflict do nothing;
    else
        delete from channels.reaction r
        where r.message_id = message and r.emoji = react.emoji and r.account_id = account;
    end if;
    changed := found;
    if changed then
        perform events.emit(array['channel:' || c.id], 'message.reaction', jsonb_build_object('id', message,
                'channel', c.id, 'seq', m.seq, 'emoji', react.emoji, 'account', account, 'added', adds,
                'reactions', channels.published(message) -> 'reactions'),
            null, account, m.visible_to);
    end if;
    return jsonb_build_object('ok', channels.seen(account, message));
end
$$;
grant execute on function channels.react(uuid, text, uuid, text, boolean) to gather_channels;
