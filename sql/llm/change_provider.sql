-- Changes a provider: its address, its secret, whether it gets new calls. What it failed before is forgotten. Whether there
-- is such a provider that the account may change; one from the environment is changed there.
create or replace function llm.change_provider(account uuid, admin boolean, provider uuid, change jsonb) returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
    perform identity.require_active(account);
    if exists (select from llm.provider p where p.id = provider and p.environment and change ?| array['url', 'secret_id']) then
        perform identity.refuse('provider_environment');
    end if;
    update llm.provider p
    set url = coalesce(change ->> 'url', p.url), catalogue = case when change ? 'url' then change ->> 'catalogue' else p.catalogue end,
        secret_id = case when change ? 'secret_id' then (change ->> 'secret_id')::uuid else p.secret_id end,
        drain = coalesce((change ->> 'drain')::boolean, p.drain)
    where p.id = provider and llm.manages(account, p.owner, admin);
    if not found then
        return false;
    end if;
    delete from llm.breaker b where b.provider_id = provider;
    return true;
end
$$;
grant execute on function llm.change_provider to gather_llm;
