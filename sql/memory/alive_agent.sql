-- Whether an account has not left.
create or replace function memory.alive_agent(id uuid) returns boolean
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select exists (select from identity.account a where a.id = alive_agent.id)
$$;
