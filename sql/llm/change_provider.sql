-- Changes a provider: its address, its secret, whether it gets new calls. What it failed before is forgotten. Whether there
-- is such a provider that the account may change; one from the environment is changed there.
create or replace function llm.change_provider(account uuid, admin boolean, provider uuid, change jsonb) returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    known llm.provider;
    address text;
begin
    perform identity.require_active(account);
    select p.* into known from llm.provider p where p.id = provider and llm.manages(account, p.owner, admin) for update;
    if not found then
        return false;
    end if;
    address := coalesce(change ->> 'url', known.url);
    -- A key is never sent to another origin than the one that it was stored for.
    if known.secret_id is not null and not change ? 'secret' and llm.origin_of(address) <> llm.origin_of(known.url) then
        perform identity.refuse('provider_secret_again');
    end if;
    if known.environment and change ?| array['url', 'secret'] then
        perform identity.refuse('provider_environment');
    end if;
    update llm.provider p
    set url = coalesce(change ->> 'url', p.url), catalogue = case when change ? 'url' then change ->> 'catalogue' else p.catalogue end,
        secret_id = case when change ? 'secret' then llm.bind_secret(account, change ->> 'secret', p.protocol, address)
            else p.secret_id end,
        drain = coalesce((change ->> 'drain')::boolean, p.drain)
    where p.id = provider;
    delete from llm.breaker b where b.provider_id = provider;
    return true;
end
$$;
grant execute on function llm.change_provider to gather_llm;
