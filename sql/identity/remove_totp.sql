-- Turns the second factor off, and records that. False if there was none.
create or replace function identity.remove_totp(account uuid, client jsonb) returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
    if not identity.drop_second_factor(account) then
        return false;
    end if;
    perform audit.record(account, 'second-factor.removed', account::text, true, client ->> 'address', client ->> 'request_id');
    return true;
end
$$;
grant execute on function identity.remove_totp to gather_people;
