-- Deletes the texts of a message, here and wherever they were copied to, but not its number. For its author, unless it
-- is hidden or locked, and for moderators.
create or replace function channels.delete_message(account uuid, ref text, message uuid, is_moderator boolean, client jsonb)
returns jsonb
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    c channels.channel := channels.lock(account, ref, is_moderator);
    m channels.message;
    own_role text;
    moderates boolean;
begin
    if c.id is null then
        return channels.refused('not-found');
    end if;
    select x.* into m from channels.message x
    where x.id = message and x.channel_id = c.id and (is_moderator or exists (
        select from channels.readable_message(account) r where r.id = x.id))
    for update;
    own_role := channels.role_of(account, c.id);
    moderates := is_moderator or coalesce(own_role in ('owner', 'moderator') and c.kind = 'channel', false);
    if m.id is null then
        return channels.refused('message-not-found');
    elsif m.deleted_at is not null then
        return '{"ok": null}';
    elsif own_role is null and not is_moderator then
        return channels.refused('not-a-member');
    elsif m.author_id <> account and not moderates then
        return channels.refused('forbidden');
    elsif m.author_id = account and (m.hidden_at is not null or m.locked_at is not null) then
        return channels.refused('message-locked');
    end if;
    update channels.message x set body = '', html = '', plain = '', words = '', mentions = '{}', mentions_all = false,
        reply_to = null, deleted_at = clock_timestamp(), version = x.version + 1
    where x.id = m.id;
    delete from channels.revision r where r.message_id = m.id;
    delete from channels.reaction r where r.message_id = m.id;
    delete from channels.pin p where p.message_id = m.id;
    -- An answer that is kept for a repeated request is a copy as well.
    delete from channels.idempotency_key k where k.owner = m.author_id::text and k.body like '%' || m.id || '%';
    perform events.erase('message:' || m.id);
    perform events.emit(array['channel:' || c.id], 'message.deleted',
        jsonb_build_object('id', m.id, 'channel', c.id, 'seq', m.seq, 'deleted', true), 'message:' || m.id, account,
        m.visible_to);
    perform channels.retell('message:' || m.id, null);
    if m.author_id <> account then
        perform audit.record(account, 'message.deleted', m.id::text, true, client ->> 'address',
            client ->> 'request_id', jsonb_build_object('channel', c.id, 'author', m.author_id));
        perform channels.tell(array[m.author_id], 'moderation', 'A message of yours was deleted',
            coalesce('In #' || c.name, 'In a conversation'), '/channels/' || c.id, account, null);
    end if;
    return '{"ok": null}';
end
$$;
grant execute on function channels.delete_message(uuid, text, uuid, boolean, jsonb) to gather_channels;
