-- The accounts that speak for an account: itself, the agents that it owns, and its owner with the owner's agents.
create or replace function memory.party(account uuid) returns uuid[]
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select array(
        select account
        union select g.owner_id from identity.agent g where g.account_id = account and g.owner_id is not null
        union select g.account_id from identity.agent g
        where g.owner_id in (account, (select o.owner_id from identity.agent o where o.account_id = account)))
$$;
grant execute on function memory.party to gather_memory;
