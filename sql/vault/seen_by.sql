-- The secrets that an account knows of: its own, its teams', those that it was granted.
create or replace function vault.seen_by(account uuid) returns setof uuid
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select s.id from vault.secret s where s.account_id = seen_by.account and s.state <> 'deleted'
    union
    select s.id from identity.team_member m join vault.secret s on s.team_id = m.team_id and s.state <> 'deleted'
    where m.account_id = seen_by.account
    union
    select g.secret_id from vault.secret_grant g where g.subject = any(vault.subjects_of(seen_by.account))
    and (g.until is null or g.until > now())
    union
    select s.id from vault.secret s where s.account_id is null and s.team_id is null and s.state <> 'deleted'
    and identity.allows(seen_by.account, 'llm:manage')
$$;
grant execute on function vault.seen_by to gather_vault;
