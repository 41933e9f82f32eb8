-- A person asks for an agent; the code works for 15 minutes. Null: there is no such agent.
create or replace function identity.claim_agent(agent uuid, owner uuid, hash bytea, client jsonb) returns timestamptz
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    until timestamptz;
begin
    perform identity.require_active(owner);
    perform from identity.agent g where g.account_id = claim_agent.agent for update;
    if not found then
        return null;
    end if;
    -- One at a time: the last code counts.
    delete from identity.claim c where c.agent_id = claim_agent.agent and c.owner_id = claim_agent.owner;
    insert into identity.claim as c (hash, agent_id, owner_id, expires_at)
    values (claim_agent.hash, claim_agent.agent, claim_agent.owner, now() + interval '15 minutes')
    returning c.expires_at into until;
    perform audit.record(owner, 'agent.claimed', claim_agent.agent::text, true, client ->> 'address', client ->> 'request_id');
    return until;
end
$$;
grant execute on function identity.claim_agent to gather_identity;
