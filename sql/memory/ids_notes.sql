-- Where an account, and the agents that it owns, note something for themselves.
create or replace function memory.ids_notes(account uuid) returns setof uuid
language sql stable rows 10 security definer set search_path = pg_catalog, pg_temp
as $$
    select n.id from memory.ids_agent(account) i join circles.notebook n on n.agent_id = i
$$;
