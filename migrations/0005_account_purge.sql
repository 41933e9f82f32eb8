-- What the queued work `account-purge` may do: one function, no table.

-- Sessions are forgotten, that there was one is not.
alter table identity.account add column authenticated_at timestamptz;
update identity.account a set authenticated_at = s.first
from (select account_id, min(created_at) as first from identity.session group by account_id) s
where s.account_id = a.id;
grant update (authenticated_at) on identity.account to gather_identity;
create index account_never_came on identity.account (created_at)
    where kind = 'agent' and authenticated_at is null;
create index session_expires on identity.session (expires_at);
create index refresh_token_expires on identity.refresh_token (expires_at);

-- Forgets at most `most` of each: agents that never signed in within a day of registering (their
-- names are free again), sessions and refresh tokens a day after their end (a reused token is
-- recognised until then), answers to repeated requests after a day, challenges when they expire.
-- Rows that somebody is using at this moment wait for the next time.
create function identity.purge(most integer, out agents bigint, out sessions bigint,
    out refresh_tokens bigint, out idempotency_keys bigint, out challenges bigint)
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
    with gone as (
        delete from identity.account a where a.id in (
            select o.id from identity.account o
            where o.kind = 'agent' and o.created_at < now() - interval '1 day'
            and o.authenticated_at is null
            order by o.created_at limit most for update skip locked)
        returning 1
    ) select count(*) into agents from gone;
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
    ) select count(*) into idempotency_keys from gone;
    with gone as (
        delete from identity.used_challenge c where c.nonce in (
            select o.nonce from identity.used_challenge o where o.expires_at < now()
            order by o.expires_at limit most for update skip locked)
        returning 1
    ) select count(*) into challenges from gone;
end
$$;

-- See 0001_platform.sql on why like this.
do $$
begin
    create role gather_account_purge login nosuperuser nocreatedb nocreaterole noinherit;
    alter role gather_account_purge set search_path = identity;
    alter role gather_account_purge set timezone = 'UTC';
exception when duplicate_object or unique_violation then null;
end
$$;
grant usage on schema identity to gather_account_purge;
grant execute on function identity.purge(integer) to gather_account_purge;
