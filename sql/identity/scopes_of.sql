-- The scopes of an account, separated by spaces as in a token.
create or replace function identity.scopes_of(account uuid) returns text
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select string_agg(distinct s.scope, ' ' order by s.scope)
    from identity.role r cross join lateral unnest(r.scopes) as s (scope)
    where r.name = any(identity.roles_of(account))
$$;
grant execute on function identity.scopes_of to gather_people, gather_accounts;
