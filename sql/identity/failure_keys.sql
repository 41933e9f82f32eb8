-- The keys by which failures to sign in are counted, the number of free failures, and the longest delay.
create or replace function identity.failure_keys(email text, address text) returns table (key text, free integer, longest interval)
language sql immutable
as $$
    values ('both:' || email || ' ' || address, 5, interval '15 minutes'),
        -- Many may share an address, and everybody that of this machine, where a proxy may stand.
        (case when address not in ('127.0.0.1', '::1') then 'address:' || address end, 50, interval '1 minute'),
        -- A stranger who fails all the time delays others by a minute at most, and never where the account
        -- has signed in before.
        ('email:' || email, 20, interval '1 minute')
$$;
