-- What an account may do with the memory of a team, by its role there.
create or replace function memory.level_circle(account uuid, id uuid) returns text
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select case
        when identity.allows(account, 'team:manage', id) then 'manage'
        when identity.allows(account, 'memory:write', id) then 'write'
        when identity.allows(account, 'memory:read', id) then 'read'
    end
$$;
