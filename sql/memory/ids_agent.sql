-- An account and the agents that it owns.
create or replace function memory.ids_agent(account uuid) returns setof uuid
language sql stable rows 10 security definer set search_path = pg_catalog, pg_temp
as $$
    select account union all select g.account_id from identity.agent g where g.owner_id = account
$$;
