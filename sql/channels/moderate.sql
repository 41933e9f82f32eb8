-- Hides, locks or pins a message, or with a null action undoes hide and lock. For moderators of the platform and of the
-- channel; nobody undoes it for a message of their own, and no role in the channel what the platform's moderators did.
create or replace function channels.moderate(account uuid, ref text, message uuid, action text, reason text,
    is_moderator boolean, client jsonb) returns jsonb
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    c channels.channel := channels.lock(account, ref, is_moderator);
    m channels.message;
    own_role text;
begin
    if c.id is null then
        return channels.refused('not-found');
    end if;
    own_role := channels.role_of(account, c.id);
    select x.* into m from channels.message x
    where x.id = message and x.channel_id = c.id and x.deleted_at is null and (is_moderator or exists (
        select from channels.readable_message(account) r where r.id = x.id))
    for no key update;
    if m.id is null then
        return channels.refused('message-not-found');
    elsif not is_moderator and (c.kind <> 'channel' or own_role is null or own_role = 'member') then
        return channels.refused('forbidden');
    elsif (m.hidden_at is not null or m.locked_at is not null)
        and (m.author_id = account or (m.moderated_by_scope and not is_moderator)) then
        return channels.refused('forbidden');
    elsif action = 'pin' and m.hidden_at is not null then
        return channels.refused('message-locked');
    end if;
    if action = 'pin' then
        if (select count(*) from channels.pin p where p.channel_id = c.id) >= 50 then
            return channels.refused('too-many-pins');
        end if;
        insert into channels.pin (channel_id, message_id, pinned_by) values (c.id, m.id, account) on conflict do nothing;
    else
        update channels.message x set
            hidden_at = case action when 'hide' then coalesce(x.hidden_at, clock_timestamp())
                when 'lock' then x.hidden_at end,
            locked_at = case when action is not null then clock_timestamp() end,
            moderated_by = case when action is not null then account end, moderated_for = reason,
            moderated_by_scope = action is not null and is_moderator, version = x.version + 1
        where x.id = m.id;
    end if;
    if action = 'hide' then
        delete from channels.pin p where p.message_id = m.id;
        perform events.erase('message:' || m.id);
        perform channels.retell('message:' || m.id, null);
    end if;
    -- Has no actor, so that accounts that have blocked the moderator are told as well.
    perform events.emit(array['channel:' || c.id], 'message.updated', channels.published(m.id), 'message:' || m.id,
        null, m.visible_to);
    perform audit.record(account, 'message.' || coalesce(action, 'restore'), m.id::text, true, client ->> 'address',
        client ->> 'request_id', jsonb_build_object('channel', c.id, 'author', m.author_id, 'reason', reason));
    if m.author_id <> account then
        perform channels.tell(array[m.author_id], 'moderation', 'A message of yours: '
                || case coalesce(action, 'restore') when 'hide' then 'hidden' when 'lock' then 'locked'
                    when 'pin' then 'pinned' else 'restored' end,
            coalesce(reason, ''), '/channels/' || c.id || '?around=' || m.id, null, null);
    end if;
    return jsonb_build_object('ok', coalesce(channels.seen(account, m.id), channels.published(m.id)));
end
$$;
grant execute on function channels.moderate(uuid, text, uuid, text, text, boolean, jsonb) to gather_channels;
