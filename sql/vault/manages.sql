-- Whether an account may change a secret, grant it, and read who used it: its owner, the owners of the team that owns it;
-- of the platform's, whoever manages those.
create or replace function vault.manages(account uuid, secret vault.secret) returns boolean
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select case
        when secret.account_id is not null then secret.account_id = account
        when secret.team_id is not null then identity.allows(account, 'vault:write', secret.team_id)
        else identity.allows(account, 'llm:manage')
    end
$$;
grant execute on function vault.manages to gather_vault;
