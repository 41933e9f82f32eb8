-- Ends the ownership of an agent, from either side.
create or replace function identity.release_agent(agent uuid, actor uuid, client jsonb) returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
    update identity.agent g set owner_id = null
    where g.account_id = release_agent.agent and g.owner_id is not null
    and actor in (g.owner_id, g.account_id);
    if not found then
        return false;
    end if;
    perform audit.record(actor, 'agent.released', release_agent.agent::text, true, client ->> 'address', client ->> 'request_id');
    return true;
end
$$;
grant execute on function identity.release_agent to gather_accounts;
