-- Whether an account knows that a secret exists: its owner, a member of the team that owns it, whom it was granted to;
-- of the platform's, whoever manages those.
create or replace function vault.sees(account uuid, secret vault.secret) returns boolean
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select coalesce(secret.account_id = account, false)
        or exists (select from identity.team_member m where m.team_id = secret.team_id and m.account_id = sees.account)
        or (secret.account_id is null and secret.team_id is null and identity.allows(account, 'llm:manage'))
        or exists (select from vault.secret_grant g
            where g.secret_id = secret.id and g.subject = any(vault.subjects_of(account))
            and (g.until is null or g.until > now()))
$$;
grant execute on function vault.sees to gather_vault;
