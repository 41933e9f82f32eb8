-- The account with this mail address and password. No row if it is refused, which is recorded.
--   only   the account that it has to be; null: any
create or replace function identity.check_password(email text, password bytea, only_account uuid, client jsonb)
returns table (account uuid, totp text)
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
    return query
        select a.id, case when p.totp_confirmed_at is not null then encode(p.totp_secret, 'base64') end
        from identity.person p join identity.account a on a.id = p.account_id and a.status = 'active'
        where p.email = check_password.email and p.password = check_password.password
        and (only_account is null or a.id = only_account)
        order by p.verified_at is null, a.id desc limit 1;
    if not found then
        perform identity.refuse_sign_in(check_password.email, client, 'password');
    end if;
end
$$;
grant execute on function identity.check_password to gather_people;
