-- The number of seconds for which a password of this mail address is not checked; 0 if it is.
create or replace function identity.sign_in_delay(email text, address text) returns integer
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select coalesce(ceil(extract(epoch from max(f.blocked_until) - now())), 0)::integer
    from identity.failure_keys(email, address) k
    join identity.sign_in_failure f on f.key = k.key and f.blocked_until > now()
    where not (k.key like 'email:%' and exists (
        select from identity.session s where s.account_id = identity.holder_of(sign_in_delay.email)
        and s.address = sign_in_delay.address))
$$;
grant execute on function identity.sign_in_delay to gather_people;
