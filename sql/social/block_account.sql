-- Blocks or mutes an account. Its items go from the blocker's inbox, and what the blocker may not read any more
-- is not told to it from now on. The other account is told nothing.
create or replace function social.block_account(account uuid, target text, mute boolean) returns jsonb
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    other uuid := social.account_of(target);
    made social.block;
begin
    if not social.is_active(account) then
        return social.refused('inactive');
    elsif other is null then
        return social.refused('account-not-found');
    elsif other = account then
        return social.refused('own-account');
    end if;
    insert into social.block as b (blocker, blocked, mute) values (account, other, block_account.mute)
    on conflict on constraint block_pkey do update set mute = excluded.mute
    returning b.* into made;
    perform inbox.remove(array(
        select i.id from inbox.item i where i.by = other and i.account_id = account));
    perform social.end_access(account, other);
    perform events.emit(array['account:' || account], 'access.changed', jsonb_build_object('account', account));
    return jsonb_build_object('ok', social.block_json(made));
end
$$;
grant execute on function social.block_account(uuid, text, boolean) to gather_social;
