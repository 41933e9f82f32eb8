-- What an account may do at most, as scopes separated by spaces: what its roles grant. Of an agent that is kept for an owner,
-- only what the owner may do too, and nothing while the owner is not active; it keeps no claws of its own. Of such an agent's
-- own `scopes` it says nothing: see `identity.scopes_of`.
create or replace function identity.rights_of(account uuid) returns text
language plpgsql stable security definer set search_path = pg_catalog, pg_temp
as $$
declare
    roles text[] := identity.roles_of(account);
    -- Null: it is nobody's.
    lent text[];
begin
    select case o.status when 'active'
        then array_remove(string_to_array(identity.scopes_of(o.id), ' '), 'claws:create') else '{}' end
    into lent
    from circles.seat s join identity.account o on o.id = s.owner_id where s.account_id = rights_of.account;
    return (select coalesce(string_agg(distinct s.scope, ' ' order by s.scope), '')
        from identity.role r cross join lateral unnest(r.scopes) as s (scope)
        where r.name = any(roles) and (lent is null or s.scope = any(lent)));
end
$$;
