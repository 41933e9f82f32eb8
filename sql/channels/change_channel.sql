-- Changes a channel. Moderators may change the topic and slow mode, and owners everything.
--   change  any of {name, topic, folded_topic, private, slow_mode_ms, archived}
create or replace function channels.change_channel(account uuid, ref text, change jsonb, client jsonb) returns jsonb
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    c channels.channel := channels.lock(account, ref);
    changed channels.channel;
    own_role text;
begin
    if c.id is null then
        return channels.refused('not-found');
    elsif c.kind <> 'channel' then
        return channels.refused('direct-channel');
    end if;
    own_role := channels.role_of(account, c.id);
    if own_role is null then
        return channels.refused('not-a-member');
    elsif own_role = 'member' or (own_role = 'moderator' and change ?| '{name,private,archived}') then
        return channels.refused('forbidden');
    elsif c.archived_at is not null and (change ->> 'archived') is distinct from 'false' then
        return channels.refused('channel-archived');
    end if;
    update channels.channel x set
        name = coalesce(change ->> 'name', x.name), topic = coalesce(change ->> 'topic', x.topic),
        private = coalesce((change ->> 'private')::boolean, x.private),
        slow_mode_ms = coalesce((change ->> 'slow_mode_ms')::integer, x.slow_mode_ms),
        archived_at = case (change ->> 'archived')::boolean when true then coalesce(x.archived_at, now())
            when false then null else x.archived_at end,
        -- A name does not contain spaces.
        words = coalesce(change ->> 'name', x.name) || ' '
            || coalesce(change ->> 'folded_topic', substr(x.words, strpos(x.words, ' ') + 1)),
        version = x.version + 1
    where x.id = c.id returning x.* into changed;
    -- First of all, so that whoever loses the right to read it is not told what else has changed.
    if changed.private <> c.private or (changed.archived_at is null) <> (c.archived_at is null) then
        perform events.emit(array['channel:' || c.id], 'access.changed', '{"account": null}', null, account);
        perform audit.record(account, 'channel.changed', c.id::text, true, client ->> 'address',
            client ->> 'request_id', change - '{topic,folded_topic}'::text[]);
    end if;
    perform events.emit(array['channel:' || c.id], 'channel.updated', channels.channel_json(changed, null), null, account);
    return jsonb_build_object('ok', channels.channel_json(changed, account));
end
$$;
grant execute on function channels.change_channel(uuid, text, jsonb, jsonb) to gather_channels;
