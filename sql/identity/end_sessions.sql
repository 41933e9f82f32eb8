-- Ends an account's sessions except one, and returns their number.
create or replace function identity.end_sessions(account uuid, but uuid default null) returns bigint
language sql
as $$
    with ended as (
        update identity.session s set revoked_at = clock_timestamp()
        where s.account_id = account and s.revoked_at is null and s.expires_at > now()
        and s.id is distinct from but
        returning 1
    ) select count(*) from ended
$$;
