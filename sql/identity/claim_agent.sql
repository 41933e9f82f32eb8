-- Claims an agent, by id or name, for a person. The code is valid for 15 minutes. No row if the agent does not exist.
create or replace function identity.claim_agent(ref text, owner uuid, hash bytea, client jsonb)
returns table (agent uuid, expires_at timestamptz)
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    target uuid := identity.account_called(ref);
    until timestamptz;
begin
    if target = owner then
        perform identity.refuse('agent_owns_itself');
    end if;
    perform identity.require_active(owner);
    perform from identity.agent g where g.account_id = target for update;
    if not found then
        return;
    end if;
    -- Only the last code is valid.
    delete from identity.claim c where c.agent_id = target and c.owner_id = claim_agent.owner;
    insert into identity.claim as c (hash, agent_id, owner_id, expires_at)
    values (claim_agent.hash, target, claim_agent.owner, now() + interval '15 minutes')
    returning c.expires_at into until;
    perform audit.record(owner, 'agent.claimed', target::text, true, client ->> 'address', client ->> 'request_id');
    return query select target, until;
end
$$;
grant execute on function identity.claim_agent to gather_accounts;
