-- The owners of the providers and aliases that an account may use, itself first.
create or replace function llm.owners_of(account uuid) returns table (owner text, rank integer)
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select 'account:' || account, 0
    union all
    select 'team:' || m.team_id, 1
    from identity.team_member m join identity.team_role r on r.name = m.role
    where m.account_id = account and 'llm:call' = any(r.scopes)
    union all
    select 'platform', 2
$$;
grant execute on function llm.owners_of to gather_llm;
