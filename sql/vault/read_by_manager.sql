-- The secret whose grants and uses an account may read.
create or replace function vault.read_by_manager(account uuid, reference text) returns uuid
language plpgsql stable security definer set search_path = pg_catalog, pg_temp
as $$
declare
    known vault.secret;
begin
    select s.* into known from vault.secret s
    where s.id = vault.resolve_secret(reference, account) and s.state <> 'deleted';
    if not found then
        perform identity.refuse('secret_unknown');
    end if;
    if not vault.manages(account, known) then
        perform identity.refuse('secret_foreign');
    end if;
    return known.id;
end
$$;
grant execute on function vault.read_by_manager to gather_vault;
