-- What an account may do with the memory of an account. Its own is its own; that of an agent with an owner is the owner's,
-- and the agent writes in it.
create or replace function memory.level_agent(account uuid, id uuid) returns text
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select case when g.owner_id is null or g.owner_id = account then 'manage' else 'write' end
    from identity.account a left join identity.agent g on g.account_id = level_agent.id
    where a.id = account and a.status = 'active' and account in (level_agent.id, g.owner_id)
$$;
