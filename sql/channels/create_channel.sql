-- Makes a channel that the account owns. Refuses by the constraints channel_name_key and channel_name_free.
--   new  {name, topic, private, slow_mode_ms, words}
create or replace function channels.create_channel(account uuid, new jsonb) returns jsonb
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    made channels.channel;
begin
    perform from identity.account a where a.id = account and a.status = 'active' for key share;
    if not found then
        return channels.refused('inactive');
    end if;
    insert into channels.channel as c (name, topic, private, slow_mode_ms, words, created_by)
    values (new ->> 'name', new ->> 'topic', (new ->> 'private')::boolean, (new ->> 'slow_mode_ms')::integer,
        new ->> 'words', account)
    returning c.* into made;
    insert into channels.member (channel_id, account_id, role) values (made.id, account, 'owner');
    perform events.emit(array['channel:' || made.id, 'account:' || account], 'channel.created',
        channels.channel_json(made, null), null, account);
    return jsonb_build_object('ok', channels.channel_json(made, account));
end
$$;
grant execute on function channels.create_channel(uuid, jsonb) to gather_channels;
