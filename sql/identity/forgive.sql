-- Deletes the failures from this client once the holder of the mail address has signed in; if the address was proved,
-- all of them. Another account's success with the same address forgives nothing.
create or replace function identity.forgive(account uuid, email text, address text, proved boolean) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
    if account is distinct from identity.holder_of(forgive.email) then
        return;
    end if;
    -- Rows are locked in the order in which failures are noted.
    perform from identity.sign_in_failure f
    where f.key in ('address:' || forgive.address, 'both:' || forgive.email || ' ' || forgive.address)
    or (proved and f.key = 'email:' || forgive.email)
    order by f.key for update;
    delete from identity.sign_in_failure f
    where f.key = 'both:' || forgive.email || ' ' || forgive.address
    or (proved and f.key = 'email:' || forgive.email);
    update identity.sign_in_failure f set failures = f.failures / 2 where f.key = 'address:' || forgive.address;
end
$$;
grant execute on function identity.forgive to gather_people;
