-- Adds an account to a channel, or with `change` sets the role of one that may be there already. Owners set roles;
-- moderators add mere members. Who is added hears it.
create or replace function channels.set_member(by uuid, ref text, target text, wanted text, change boolean) returns jsonb
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    account uuid := channels.account_of(target);
    c channels.channel;
    own_role text;
    its_role text;
begin
    perform from identity.account a where a.id in (by, account) order by a.id for key share;
    c := channels.lock(by, ref);
    if c.id is null then
        return channels.refused('not-found');
    elsif c.kind <> 'channel' then
        return channels.refused('direct-channel');
    end if;
    own_role := channels.role_of(by, c.id);
    its_role := channels.role_of(account, c.id);
    if own_role is null then
        return channels.refused('not-a-member');
    elsif own_role = 'member' or (own_role = 'moderator' and (change or wanted <> 'member')) then
        return channels.refused('forbidden');
    elsif c.archived_at is not null then
        return channels.refused('channel-archived');
    -- A block counts as a refusal, and the blocked account does not learn of it.
    elsif account is null or (its_role is null and by = any (social.shunned(account))) then
        return channels.refused('account-not-found');
    end if;
    if its_role is null then
        insert into channels.member (channel_id, account_id, role, added_by, read_seq)
        values (c.id, account, wanted, by, c.last_seq);
        perform channels.tell_of_member(c.id, account, 'joined', wanted, by);
        perform channels.tell(array[account], 'invitation', '#' || c.name,
            (select a.name from identity.account_name a where a.id = by) || ' added you to #' || c.name,
            '/channels/' || c.id, by, 'channel:' || c.id);
    elsif change and its_role <> wanted then
        if its_role = 'owner' and not channels.has_owner(c.id, account) then
            return channels.refused('last-owner');
        end if;
        update channels.member b set role = wanted where b.channel_id = c.id and b.account_id = account;
        perform channels.tell_of_member(c.id, account, 'updated', wanted, by);
    end if;
    return jsonb_build_object('ok', jsonb_build_object('is_new', its_role is null, 'channel', c.id, 'member', (
        select jsonb_build_object('account', a.id, 'name', a.name, 'kind', a.kind, 'role', b.role,
            'joined_at', b.joined_at)
        from channels.member b join identity.account_name a on a.id = b.account_id
        where b.channel_id = c.id and b.account_id = account)));
end
$$;
grant execute on function channels.set_member(uuid, text, text, text, boolean) to gather_channels;
