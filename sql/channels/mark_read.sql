-- Notes how far an account has read a channel, and never moves back. Tells other members, unless they are more than
-- 200. The account's notice of new messages there is read by that.
create or replace function channels.mark_read(account uuid, ref text, message uuid) returns jsonb
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    c channels.channel;
    target bigint;
    audience uuid[];
begin
    select x.* into c from channels.channel x where x.id = channels.find(account, ref);
    if c.id is null then
        return channels.refused('not-found');
    elsif channels.role_of(account, c.id) is null then
        return channels.refused('not-a-member');
    end if;
    select m.seq into target from channels.readable_message(account) m where m.id = message and m.channel_id = c.id;
    if target is null then
        return channels.refused('message-not-found');
    end if;
    update channels.member b set read_seq = target, read_at = clock_timestamp()
    where b.channel_id = c.id and b.account_id = account and b.read_seq < target;
    if found then
        perform inbox.catch_up(account, 'message', 'channel:' || c.id);
        audience := array(select b.account_id from channels.member b where b.channel_id = c.id limit 201);
        perform events.emit(array['channel:' || c.id], 'channel.read', jsonb_build_object('channel', c.id,
                'account', account, 'message_id', message, 'seq', target, 'at', clock_timestamp()), null, account,
            case when cardinality(audience) > 200 then array[account] else audience end);
    end if;
    return '{"ok": null}';
end
$$;
grant execute on function channels.mark_read(uuid, text, uuid) to gather_channels;
