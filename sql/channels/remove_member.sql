-- Takes an account out of a channel: itself, or another one by an owner or, if it is a mere member, by a moderator.
-- A channel that others are in keeps an owner; one that nobody is in any more is archived.
create or replace function channels.remove_member(by uuid, ref text, who text, client jsonb) returns jsonb
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    -- An account that is not active any more can be removed too, by its id.
    target uuid := coalesce(platform.uuid_of(who), channels.account_of(who));
    c channels.channel := channels.lock(by, ref);
    own_role text;
    its_role text;
begin
    if c.id is null then
        return channels.refused('not-found');
    elsif c.kind <> 'channel' then
        return channels.refused('direct-channel');
    end if;
    own_role := channels.role_of(by, c.id);
    its_role := channels.role_of(target, c.id);
    if own_role is null then
        return channels.refused('not-a-member');
    elsif by <> target and (own_role = 'member' or (own_role = 'moderator' and its_role <> 'member')) then
        return channels.refused('forbidden');
    elsif its_role is null then
        return channels.refused('account-not-found');
    elsif its_role = 'owner' and not channels.has_owner(c.id, target)
        and exists (select from channels.member o where o.channel_id = c.id and o.account_id <> target) then
        return channels.refused('last-owner');
    end if;
    delete from channels.member b where b.channel_id = c.id and b.account_id = target;
    perform channels.tell_of_member(c.id, target, 'left', null, by);
    update channels.channel x set archived_at = now(), version = x.version + 1
    where x.id = c.id and x.archived_at is null
    and not exists (select from channels.member o where o.channel_id = c.id);
    if by <> target then
        perform audit.record(by, 'channel.member-removed', c.id::text, true, client ->> 'address',
            client ->> 'request_id', jsonb_build_object('account', target));
    end if;
    return '{"ok": null}';
end
$$;
grant execute on function channels.remove_member(uuid, text, text, jsonb) to gather_channels;
