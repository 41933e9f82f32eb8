-- Counts a failure. Beyond the free ones the delay doubles each time. Half an hour without a failure clears the count.
create or replace function identity.note_failure(email text, address text) returns void
language sql
as $$
    insert into identity.sign_in_failure as f (key, failures, last_at, blocked_until)
    select k.key, 1, now(), now() from identity.failure_keys(email, address) k where k.key is not null order by k.key
    on conflict on constraint sign_in_failure_pkey do update set
        failures = case when f.last_at < now() - interval '30 minutes' then 1 else f.failures + 1 end,
        last_at = now(),
        blocked_until = now() + (
            select case
                when f.last_at < now() - interval '30 minutes' or f.failures + 1 < k.free then interval '0'
                else least(k.longest, interval '1 second' * power(2, least(f.failures + 1 - k.free, 20)))
            end
            from identity.failure_keys(note_failure.email, note_failure.address) k where k.key = f.key)
$$;
