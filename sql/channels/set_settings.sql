-- Sets the notices that an account wants of a channel. Only a direct channel can be hidden, until somebody writes
-- there.
create or replace function channels.set_settings(account uuid, ref text, notify text, muted_until timestamptz, hidden boolean)
returns jsonb
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    c channels.channel;
begin
    select x.* into c from channels.channel x where x.id = channels.find(account, ref);
    if c.id is null then
        return channels.refused('not-found');
    elsif hidden and c.kind <> 'direct' then
        return channels.refused('not-hidable');
    end if;
    update channels.member b set notify = set_settings.notify, muted_until = set_settings.muted_until,
        hidden = coalesce(set_settings.hidden, b.hidden)
    where b.channel_id = c.id and b.account_id = account;
    if not found then
        return channels.refused('not-a-member');
    end if;
    return jsonb_build_object('ok', channels.channel_json(c, account));
end
$$;
grant execute on function channels.set_settings(uuid, text, text, timestamptz, boolean) to gather_channels;
