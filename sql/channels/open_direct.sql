-- The direct channel of exactly these accounts and the caller, made once. To the others it shows with its first
-- message.
create or replace function channels.open_direct(account uuid, others text[]) returns jsonb
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    members uuid[];
    target channels.channel;
begin
    if exists (select from unnest(others) o where channels.account_of(o) is null) then
        return channels.refused('account-not-found');
    end if;
    members := array(select distinct m from unnest(
        array(select channels.account_of(o) from unnest(others) o) || account) m order by m);
    if cardinality(members) > 10 then
        return channels.refused('too-many-members');
    end if;
    perform from identity.account a where a.id = any (members) and a.status = 'active' order by a.id for key share;
    select c.* into target from channels.channel c where c.member_set = members;
    if target.id is null then
        -- An account that has blocked the caller looks to the caller like one that does not exist.
        if exists (select from unnest(members) m where social.blocks(m, account)) then
            return channels.refused('account-not-found');
        end if;
        insert into channels.channel as c (kind, private, member_set, created_by)
        values ('direct', true, members, account)
        on conflict on constraint channel_member_set_key do nothing
        returning c.* into target;
        if target.id is not null then
            insert into channels.member (channel_id, account_id, hidden, notify)
            select target.id, m, m <> account, 'all' from unnest(members) m;
            perform events.emit(array['channel:' || target.id, 'account:' || account], 'channel.created',
                channels.channel_json(target, null), null, account);
            perform circles.greet(target.id, account);
            return jsonb_build_object('ok',
                jsonb_build_object('is_new', true, 'channel', channels.channel_json(target, account)));
        end if;
        -- Somebody else has made it at this moment.
        select c.* into target from channels.channel c where c.member_set = members;
    end if;
    update channels.member b set hidden = false
    where b.channel_id = target.id and b.account_id = account and b.hidden;
    return jsonb_build_object('ok',
        jsonb_build_object('is_new', false, 'channel', channels.channel_json(target, account)));
end
$$;
grant execute on function channels.open_direct(uuid, text[]) to gather_channels;
