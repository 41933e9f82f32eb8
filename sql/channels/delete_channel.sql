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
    perform channels.end_channel(c, array['channel:' || c.id], account, 'channel.deleted', client);
    return '{"ok": null}';
end
$$;
grant execute on function channels.delete_channel(uuid, text, boolean, jsonb) to gather_channels;
