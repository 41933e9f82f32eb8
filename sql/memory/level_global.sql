-- What an account may do with the memory of everybody: all read it, those with the scope `memory:global` write it.
create or replace function memory.level_global(account uuid, id uuid) returns text
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select case when identity.allows(account, 'memory:global') then 'manage' else 'read' end
    from identity.account a where a.id = account and a.status = 'active' and level_global.id is null
$$;
