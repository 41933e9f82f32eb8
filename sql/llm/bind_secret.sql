-- The secret that a provider's owner names, bound to the origin of the provider's address: it is sent nowhere else. Null: no
-- secret is named. One that the account may not give away, or that is not for this origin, is refused.
create or replace function llm.bind_secret(account uuid, reference text, protocol text, url text) returns uuid
language plpgsql
as $$
declare
    secret uuid;
begin
    if reference is null then
        return null;
    end if;
    secret := vault.resolve_secret(reference, account);
    if secret is null then
        perform identity.refuse('provider_secret');
    end if;
    if not (select vault.manages(account, s) from vault.secret s where s.id = secret) then
        perform identity.refuse('provider_secret_owner');
    end if;
    if not vault.bind_provider(secret, llm.origin_of(url), llm.key_header(protocol), llm.key_format(protocol)) then
        perform identity.refuse('provider_secret_use');
    end if;
    return secret;
end
$$;
