-- Mails another link that proves the address, while the address is nobody's.
create or replace function identity.verify_again(account uuid) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
    perform from identity.person p where p.account_id = account and p.verified_at is null and p.password is not null
    and not exists (select from identity.person o where o.email = p.email and o.verified_at is not null);
    if found then
        perform identity.mail(account, 'verify', interval '1 day');
    end if;
end
$$;
grant execute on function identity.verify_again to gather_identity;
