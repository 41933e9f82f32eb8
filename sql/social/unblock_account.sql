-- Takes a block or a mute back.
create or replace function social.unblock_account(account uuid, target text) returns jsonb
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    other uuid := social.account_of(target);
begin
    if other is null then
        return social.refused('account-not-found');
    end if;
    delete from social.block b where b.blocker = account and b.blocked = other;
    if found then
        perform events.emit(array['account:' || account], 'access.changed', jsonb_build_object('account', account));
    end if;
    return '{"ok": null}';
end
$$;
grant execute on function social.unblock_account(uuid, text) to gather_social;
