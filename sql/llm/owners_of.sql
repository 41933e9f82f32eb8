-- The owners of the providers and aliases that an account may use, itself first. An agent that the platform keeps for an owner
-- may use that one's too.
create or replace function llm.owners_of(account uuid) returns table (owner text, rank integer)
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    with person as (
        select owners_of.account as id, 0 as rank
        union all
        select s.owner_id, 1 from circles.seat s where s.account_id = owners_of.account
    )
    select 'account:' || p.id, p.rank from person p
    union all
    select distinct 'team:' || m.team_id, 2
    from person p join identity.team_member m on m.account_id = p.id join identity.team_role r on r.name = m.role
    where 'llm:call' = any(r.scopes)
    union all
    select 'platform', 3
$$;
grant execute on function llm.owners_of to gather_llm;
