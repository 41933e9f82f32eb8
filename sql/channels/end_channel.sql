-- Deletes a locked channel with its messages, and what was kept of them elsewhere. `topics` are those that it has events on.
create or replace function channels.end_channel(c channels.channel, topics text[], actor uuid, what text, client jsonb)
returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
    perform events.erase_topic(t) from unnest(topics) t;
    perform inbox.erase_topic('channel:' || c.id);
    perform channels.retell('channel:' || c.id, null);
    perform events.emit(topics || array(
            select 'account:' || b.account_id from channels.member b where b.channel_id = c.id limit 1000),
        'channel.deleted', jsonb_build_object('id', c.id, 'deleted', true), null, actor);
    perform events.emit(topics, 'access.changed', '{"account": null}', null, actor);
    delete from channels.channel x where x.id = c.id;
    perform audit.record(actor, end_channel.what, c.id::text, true, client ->> 'address', client ->> 'request_id',
        jsonb_build_object('name', c.name));
end
$$;
