-- The secret that a caller means: by the name that it has among the caller's own or, for others', by its id; with or
-- without `vault:` before it. Null: there is none that the caller may see.
create or replace function vault.resolve_secret(reference text, account uuid) returns uuid
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    -- No name has the form of an id, so at most one of these finds something.
    select s.id from vault.secret s
    where s.account_id = resolve_secret.account and s.name = regexp_replace(reference, '^vault:', '') and s.state <> 'deleted'
    union all
    select s.id from vault.secret s
    where s.id = platform.uuid_of(regexp_replace(reference, '^vault:', '')) and s.state <> 'deleted'
    and vault.sees(resolve_secret.account, s)
$$;
grant execute on function vault.resolve_secret to gather_vault;
