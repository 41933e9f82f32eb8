-- Deletes a channel with its messages, and what was kept of them elsewhere. For its owners and the platform's moderators.
create or replace function channels.delete_channel(account uuid, ref text, is_moderator boolean, client jsonb)
returns jsonb
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    c channels.channel := channels.lock(account, ref, is_moderator);
    own_role text;
begin
    if c.id is null then
        return channels.refused('not-found');
    elsif c.kind <> 'channel' then
        return channels.refused('direct-channel');
    end if;
    own_role := channels.role_of(account, c.id);
    if own_role is distinct from 'owner' and not is_moderator then
        return channels.refused(case when own_role is null then 'not-a-member' else 'forbidden' end);
    end if;
    perform events.erase_topic('channel:' || c.id);
    perform inbox.erase_topic('channel:' || c.id);
    perform channels.retell('channel:' || c.id, null);
    perform events.emit(array['channel:' || c.id] || array(
            select 'account:' || b.account_id from channels.member b where b.channel_id = c.id limit 1000),
        'channel.deleted', jsonb_build_object('id', c.id, 'deleted', true), null, account);
    perform events.emit(array['channel:' || c.id], 'access.changed', '{"account": null}', null, account);
    delete from channels.channel x where x.id = c.id;
    perform audit.record(account, 'channel.deleted', c.id::text, true, client ->> 'address', client ->> 'request_id',
        jsonb_build_object('name', c.name));
    return '{"ok": null}';
end
$$;
grant execute on function channels.delete_channel(uuid, text, boolean, jsonb) to gather_channels;
