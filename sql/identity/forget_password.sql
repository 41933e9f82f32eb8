-- Mails a link to whoever holds this address. The caller learns nothing about the address.
create or replace function identity.forget_password(email text, client jsonb) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
    perform identity.mail(forget_password.email, null, 'reset', interval '30 minutes',
        exists (select from identity.claims_of(forget_password.email)));
    perform audit.record(null, 'password.forgotten', identity.holder_of(forget_password.email)::text, true,
        client ->> 'address', client ->> 'request_id');
end
$$;
grant execute on function identity.forget_password to gather_people;
