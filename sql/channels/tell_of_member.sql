-- Tells a channel, and the account itself, that a membership began, changed or ended.
create or replace function channels.tell_of_member(channel uuid, account uuid, what text, role text, actor uuid)
returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
    perform events.emit(array['channel:' || channel, 'account:' || account], 'channel.member.' || what,
        jsonb_build_object('channel', channel, 'account', channels.account_json(account), 'role', role),
        null, actor);
    if what = 'left' then
        perform events.emit(array['channel:' || channel], 'access.changed', jsonb_build_object('account', account),
            null, actor);
    end if;
end
$$;
