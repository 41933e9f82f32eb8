-- The id of a secret that an account names; null if it names none, or one that it may not see.
create or replace function circles.secret_for(account uuid, name text) returns uuid
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select vault.resolve_secret(secret_for.name, secret_for.account) where secret_for.name is not null
$$;
grant execute on function circles.secret_for(uuid, text) to gather_circles;
