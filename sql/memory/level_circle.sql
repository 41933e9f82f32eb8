-- What an account may do with the memory of a team or of a circle, by its role there.
create or replace function memory.level_circle(account uuid, id uuid) returns text
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select case
        when identity.allows(account, 'team:manage', id) then 'manage'
        when identity.allows(account, 'memory:write', id) then 'write'
        when identity.allows(account, 'memory:read', id) then 'read'
        else (select case m.role when 'observer' then 'read' when 'member' then 'write' else 'manage' end
            from circles.member m join identity.account a on a.id = m.account_id and a.status = 'active'
            where m.circle_id = level_circle.id and m.account_id = account)
    end
$$;
