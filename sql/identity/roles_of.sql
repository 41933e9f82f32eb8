-- The roles of an account, from the least to the most: the given ones, or else its kind's. Null if it does not exist.
create or replace function identity.roles_of(account uuid) returns text[]
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select coalesce(
        (select array_agg(r.name order by r.rank) from identity.account_role g
         join identity.role r on r.name = g.role where g.account_id = account),
        (select array[case a.kind when 'agent' then 'developer' else 'user' end]
         from identity.account a where a.id = account))
$$;
grant execute on function identity.roles_of to gather_people, gather_accounts;
