-- Gives the channels that only this account owns another owner: the eldest moderator, or else the eldest member. For
-- accounts that are suspended or leave, which is the case already when this is called.
create or replace function channels.hand_over(account uuid) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    owned uuid;
    heir uuid;
begin
    for owned in
        select b.channel_id from channels.member b
        where b.account_id = account and b.role = 'owner' order by b.channel_id
    loop
        perform from channels.channel c where c.id = owned for no key update;
        select b.account_id into heir from channels.member b
        join identity.account a on a.id = b.account_id and a.status = 'active'
        where b.channel_id = owned and b.account_id <> account
        order by b.role = 'moderator' desc, b.joined_at, b.account_id limit 1;
        if heir is not null and not channels.has_owner(owned, account) then
            update channels.member b set role = 'owner' where b.channel_id = owned and b.account_id = heir;
            perform channels.tell_of_member(owned, heir, 'updated', 'owner', null);
        end if;
    end loop;
    perform events.emit(array['channel:' || b.channel_id], 'access.changed', jsonb_build_object('account', account))
    from channels.member b where b.account_id = account;
end
$$;
