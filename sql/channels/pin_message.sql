-- Pins a message to its channel, or takes it down: in a channel for its moderators, elsewhere for all members. At most 50.
create or replace function channels.pin_message(account uuid, ref text, message uuid, adds boolean) returns jsonb
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    c channels.channel := channels.lock(account, ref);
    why text := channels.reach(account, c, message);
begin
    if why is not null then
        return channels.refused(why);
    elsif c.kind = 'channel' and channels.role_of(account, c.id) = 'member' then
        return channels.refused('forbidden');
    elsif adds and exists (select from channels.message m where m.id = message and m.hidden_at is not null) then
        return channels.refused('message-locked');
    elsif adds and not exists (select from channels.pin p where p.message_id = message)
        and (select count(*) from channels.pin p where p.channel_id = c.id) >= 50 then
        return channels.refused('too-many-pins');
    end if;
    if adds then
        insert into channels.pin (channel_id, message_id, pinned_by) values (c.id, message, account)
        on conflict do nothing;
    else
        delete from channels.pin p where p.channel_id = c.id and p.message_id = message;
    end if;
    if found then
        perform events.emit(array['channel:' || c.id], 'message.pinned', jsonb_build_object('id', message,
                'channel', c.id, 'pinned', adds), null, account,
            (select m.visible_to from channels.message m where m.id = message));
    end if;
    return jsonb_build_object('ok', channels.seen(account, message));
end
$$;
grant execute on function channels.pin_message(uuid, text, uuid, boolean) to gather_channels;
