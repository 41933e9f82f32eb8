-- The secret that an account means and may change, locked; with the version that it expects, unless any is right.
create or replace function vault.managed(account uuid, reference text, expected text[]) returns vault.secret
language plpgsql
as $$
declare
    found_secret vault.secret;
begin
    perform identity.require_active(account);
    select s.* into found_secret from vault.secret s
    where s.id = vault.resolve_secret(reference, account) and s.state <> 'deleted' for no key update;
    if not found then
        perform identity.refuse('secret_unknown');
    end if;
    if not vault.manages(account, found_secret) then
        perform identity.refuse('secret_foreign');
    end if;
    if found_secret.version::text <> all(expected) then
        perform identity.refuse('secret_version');
    end if;
    return found_secret;
end
$$;
