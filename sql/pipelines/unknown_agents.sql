-- Selects the ids and names of agents, claws or circles (`kind`) that an account may not ask.
create or replace function pipelines.unknown_agents(account uuid, kind text, names text[]) returns setof text
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select n from unnest(names) n where pipelines.addressee(account, unknown_agents.kind, n) is null
$$;
grant execute on function pipelines.unknown_agents to gather_pipelines;
