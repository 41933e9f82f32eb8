-- The secret that a caller means: by the name that it has among the caller's own or, for others', by its id; with or
-- without `vault:` before it. Null: there is none that the caller may see.
create or replace function vault.resolve_secret(reference text, account uuid) returns uuid
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select s.id
    from (select regexp_replace(reference, '^vault:', '') as called) r
    join vault.secret s on s.state <> 'deleted' and case
        when platform.uuid_of(r.called) is null then s.account_id = resolve_secret.account and s.name = r.called
        else s.id = platform.uuid_of(r.called) and vault.sees(resolve_secret.account, s)
    end
$$;
grant execute on function vault.resolve_secret to gather_vault;
