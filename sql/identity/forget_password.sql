-- Mails a link to whoever holds this address. The caller learns nothing about the address.
create or replace function identity.forget_password(email text, client jsonb) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    account uuid := identity.holder_of(forget_password.email);
begin
    -- The same work for an address that nobody has.
    perform identity.mail(account, 'reset', interval '30 minutes');
    perform audit.record(null, 'password.forgotten', account::text, true, client ->> 'address', client ->> 'request_id');
end
$$;
grant execute on function identity.forget_password to gather_identity;
