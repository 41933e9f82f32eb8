-- Deletes a provider, its prices, and the targets that name it. Whether there was one that the account may delete.
create or replace function llm.delete_provider(account uuid, admin boolean, provider uuid) returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
    delete from llm.provider p where p.id = provider and llm.manages(account, p.owner, admin) and not p.environment;
    return found;
end
$$;
grant execute on function llm.delete_provider to gather_llm;
