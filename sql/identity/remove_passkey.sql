-- Removes a passkey of this account. False if it does not have such a passkey.
create or replace function identity.remove_passkey(account uuid, passkey uuid, client jsonb) returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
    delete from identity.passkey p where p.id = passkey and p.account_id = account;
    if not found then
        return false;
    end if;
    perform identity.tell(account, 'passkey-removed');
    perform audit.record(account, 'passkey.removed', passkey::text, true, client ->> 'address', client ->> 'request_id');
    return true;
end
$$;
grant execute on function identity.remove_passkey to gather_people;
