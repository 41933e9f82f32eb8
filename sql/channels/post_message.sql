-- Posts a message, with the next number of its channel. A `client_id` that its author has used there before is the same
-- message.
--   new  {body, html, plain, words, names, all, reply_to, client_id, visible_to}
create or replace function channels.post_message(account uuid, ref text, new jsonb) returns jsonb
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    c channels.channel := channels.lock(account, ref);
    own channels.member;
    posted channels.message;
    refused jsonb;
begin
    if c.id is null then
        return channels.refused('not-found');
    end if;
    select b.* into own from channels.member b where b.channel_id = c.id and b.account_id = account;
    if own.role is null then
        return channels.refused('not-a-member');
    end if;
    select m.* into posted from channels.message m
    where m.channel_id = c.id and m.author_id = account and m.client_id = new ->> 'client_id';
    if found then
        return jsonb_build_object('ok', jsonb_build_object(
            'is_new', false, 'message', channels.seen(account, posted.id)));
    elsif c.archived_at is not null then
        return channels.refused('channel-archived');
    elsif c.kind = 'conversation' and not circles.may_speak(account, c.id) then
        return channels.refused('forbidden');
    elsif c.kind = 'direct' and cardinality(c.member_set) = 2
        and exists (select from unnest(c.member_set) m where social.blocks(m, account)) then
        return channels.refused('blocked');
    end if;
    refused := channels.wait_ms(c, own);
    if refused is not null then
        return refused;
    -- What agents say that the platform thinks for is bounded by `hops`, and must not be lost.
    elsif c.kind <> 'channel' and not exists (select from circles.seat s where s.account_id = account)
        and circles.is_crowded(c.id) then
        return channels.refused('too-many-turns', 10000);
    elsif new ->> 'reply_to' is not null and not exists (
            select from channels.readable_message(account) r
            where r.id = (new ->> 'reply_to')::uuid and r.channel_id = c.id and r.state = 'shown') then
        return channels.refused('reply-not-found');
    end if;
    update channels.channel x set last_seq = x.last_seq + 1, last_message_at = clock_timestamp()
    where x.id = c.id returning x.* into c;
    insert into channels.message as m
        (channel_id, seq, author_id, body, html, plain, words, reply_to, client_id, visible_to, mentions, mentions_all)
    values (c.id, c.last_seq, account, new ->> 'body', new ->> 'html', new ->> 'plain', new ->> 'words',
        (new ->> 'reply_to')::uuid, new ->> 'client_id',
        case when jsonb_typeof(new -> 'visible_to') = 'array' then
            array(select jsonb_array_elements_text(new -> 'visible_to')::uuid) end,
        channels.mentioned(array(select jsonb_array_elements_text(new -> 'names')), account, c.id),
        (new ->> 'all')::boolean and own.role in ('owner', 'moderator'))
    returning m.* into posted;
    update channels.member b set posted_at = clock_timestamp() where b.channel_id = c.id and b.account_id = account;
    if c.kind = 'direct' then
        update channels.member b set hidden = false where b.channel_id = c.id and b.hidden;
    end if;
    perform events.emit(array['channel:' || c.id]
            || case when circles.is_conversation(c) then array['conversation:' || c.id] else '{}' end,
        'message.created', channels.published(posted.id),
        'message:' || posted.id, account, case when posted.visible_to is not null then posted.visible_to || account end);
    perform channels.tell_of_message(posted, c, '{}');
    return jsonb_build_object('ok', jsonb_build_object('is_new', true, 'message', channels.seen(account, posted.id)));
end
$$;
grant execute on function channels.post_message(uuid, text, jsonb) to gather_channels;
