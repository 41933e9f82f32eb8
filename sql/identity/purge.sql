-- Forgets at most `most` of each: accounts that never signed in within a day of registering and have proved no address
-- (their names are free again), sessions and refresh tokens a day after their end (a reused token is recognised until
-- then), answers to repeated requests after a day, challenges, links, claims, API keys and counters (of mails, too) when
-- they have had their day. Rows that somebody is using at this moment wait for the next time.
create or replace function identity.purge(most integer, out accounts bigint, out sessions bigint,
    out refresh_tokens bigint, out idempotency_keys bigint, out challenges bigint, out links bigint, out counters bigint)
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
    with gone as (
        delete from identity.account a where a.id in (
            select o.id from identity.account o
            where o.created_at < now() - interval '1 day' and o.authenticated_at is null and o.status = 'active'
            and not exists (select from identity.account_role r where r.account_id = o.id)
            and not exists (select from identity.person p where p.account_id = o.id and p.verified_at is not null)
            order by o.created_at limit most for update skip locked)
        returning 1
    ) select count(*) into accounts from gone;
    with gone as (
        delete from identity.session s where s.id in (
            select o.id from identity.session o where o.expires_at < now() - interval '1 day'
            order by o.expires_at limit most for update skip locked)
        returning 1
    ) select count(*) into sessions from gone;
    with gone as (
        delete from identity.refresh_token t where t.hash in (
            select o.hash from identity.refresh_token o where o.expires_at < now() - interval '1 day'
            order by o.expires_at limit most for update skip locked)
        returning 1
    ) select count(*) into refresh_tokens from gone;
    with gone as (
        delete from identity.idempotency_key k where (k.owner, k.key) in (
            select o.owner, o.key from identity.idempotency_key o
            where o.created_at < now() - interval '1 day'
            order by o.created_at limit most for update skip locked)
        returning 1
    ), of_people as (
        delete from people.idempotency_key k where (k.owner, k.key) in (
            select o.owner, o.key from people.idempotency_key o
            where o.created_at < now() - interval '1 day'
            order by o.created_at limit most for update skip locked)
        returning 1
    ), of_accounts as (
        delete from accounts.idempotency_key k where (k.owner, k.key) in (
            select o.owner, o.key from accounts.idempotency_key o
            where o.created_at < now() - interval '1 day'
            order by o.created_at limit most for update skip locked)
        returning 1
    ) select (select count(*) from gone) + (select count(*) from of_people) + (select count(*) from of_accounts)
    into idempotency_keys;
    with gone as (
        delete from identity.used_challenge c where c.nonce in (
            select o.nonce from identity.used_challenge o where o.expires_at < now() - interval '1 minute'
            order by o.expires_at limit most for update skip locked)
        returning 1
    ) select count(*) into challenges from gone;
    with gone as (
        delete from identity.link l where l.id in (
            select o.id from identity.link o where o.expires_at < now() - interval '1 day'
            order by o.expires_at limit most for update skip locked)
        returning 1
    ), claims as (
        delete from identity.claim c where c.hash in (
            select o.hash from identity.claim o where o.expires_at < now()
            order by o.expires_at limit most for update skip locked)
        returning 1
    ), keys as (
        delete from identity.api_key k where k.id in (
            select o.id from identity.api_key o
            where o.revoked_at < now() - interval '30 days' or o.expires_at < now() - interval '30 days'
            limit most for update skip locked)
        returning 1
    ) select (select count(*) from gone) + (select count(*) from claims) + (select count(*) from keys) into links;
    with gone as (
        delete from identity.allowance a where a.bucket in (
            select o.bucket from identity.allowance o where o.ends_at < now() - interval '1 minute'
            order by o.ends_at limit most for update skip locked)
        returning 1
    ), failures as (
        delete from identity.sign_in_failure f where f.key in (
            select o.key from identity.sign_in_failure o where o.last_at < now() - interval '1 day'
            order by o.last_at limit most for update skip locked)
        returning 1
    ), mailed as (
        delete from identity.mailed m where m.ctid in (
            select o.ctid from identity.mailed o where o.at < now() - interval '1 day'
            order by o.at limit most for update skip locked)
        returning 1
    ) select (select count(*) from gone) + (select count(*) from failures) + (select count(*) from mailed) into counters;
end
$$;
grant execute on function identity.purge to gather_account_purge;
