-- Forgets what an account that leaves the platform has kept.
create or replace function {{name}}.forget_account(account uuid) returns void
language sql security definer set search_path = pg_catalog, pg_temp
as $$
    delete from {{name}}.entry e where e.account_id = account;
    delete from {{name}}.idempotency_key k where k.owner = account::text;
$$;
grant execute on function {{name}}.forget_account(uuid) to gather_identity;
