-- Accepts an agent's owner by the code that the owner was given. No row if the code is not valid.
create or replace function identity.accept_claim(agent uuid, hash bytea, client jsonb) returns setof identity.agent_profile
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    owner uuid;
begin
    delete from identity.claim c
    where c.hash = accept_claim.hash and c.agent_id = accept_claim.agent and c.expires_at > now()
    returning c.owner_id into owner;
    if not found then
        return;
    end if;
    update identity.agent g set owner_id = owner where g.account_id = accept_claim.agent and g.owner_id is null;
    if not found then
        perform identity.refuse('agent_owned');
    end if;
    delete from identity.claim c where c.agent_id = accept_claim.agent;
    perform audit.record(accept_claim.agent, 'agent.owned', owner::text, true, client ->> 'address', client ->> 'request_id');
    return query select p.* from identity.agent_profile p where p.id = accept_claim.agent;
end
$$;
grant execute on function identity.accept_claim to gather_accounts;
