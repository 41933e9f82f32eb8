-- Changes the text of a message. Only its author can, while it may write there, and not while it is hidden or locked. The former text is kept.
--   new  {body, html, plain, words, names, all}
create or replace function channels.edit_message(account uuid, ref text, message uuid, new jsonb) returns jsonb
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    c channels.channel := channels.lock(account, ref);
    why text := channels.reach(account, c, message);
    before channels.message;
    after channels.message;
begin
    if why is not null then
        return channels.refused(why);
    end if;
    select m.* into before from channels.message m where m.id = message for no key update;
    if before.author_id <> account or not circles.may_speak(account, c.id) then
        return channels.refused('forbidden');
    elsif before.hidden_at is not null or before.locked_at is not null then
        return channels.refused('message-locked');
    elsif before.body = new ->> 'body' then
        return jsonb_build_object('ok', channels.seen(account, message));
    end if;
    insert into channels.revision (message_id, version, body, html, written_at)
    values (message, before.version, before.body, before.html, coalesce(before.edited_at, before.created_at));
    update channels.message m set body = new ->> 'body', html = new ->> 'html', plain = new ->> 'plain',
        words = new ->> 'words', version = m.version + 1, edited_at = clock_timestamp(),
        mentions = channels.mentioned(array(select jsonb_array_elements_text(new -> 'names')), account, c.id),
        mentions_all = (new ->> 'all')::boolean and channels.role_of(account, c.id) in ('owner', 'moderator')
    where m.id = message returning m.* into after;
    perform events.revise(channels.published(message), 'message:' || message);
    perform events.emit(array['channel:' || c.id], 'message.updated', channels.published(message),
        'message:' || message, account, after.visible_to);
    perform channels.retell('message:' || message, left(after.plain, 200));
    -- Whoever `@all` named may still be named by it.
    if not after.mentions_all then
        perform inbox.take_back(array(select m from unnest(before.mentions) m where m <> all (after.mentions)), 'mention',
            'message:' || message);
    end if;
    if c.kind <> 'direct' and not before.mentions_all then
        after.reply_to := null;
        perform channels.tell_of_message(after, c, before.mentions);
    end if;
    return jsonb_build_object('ok', channels.seen(account, message));
end
$$;
grant execute on function channels.edit_message(uuid, text, uuid, jsonb) to gather_channels;
