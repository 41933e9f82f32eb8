-- Forgets what was failed from here, once the holder of the mail address came in; where the address was proved, all of
-- it. Somebody else's success with the same address forgives nothing.
create or replace function identity.forgive(account uuid, email text, address text, proved boolean) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
    if account is distinct from identity.holder_of(forgive.email) then
        return;
    end if;
    -- In the order in which failures are noted.
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
