-- Deletes an alias of an owner. Whether there was one that the account may delete.
create or replace function llm.delete_alias(account uuid, admin boolean, belongs text, name text) returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
    delete from llm.alias a
    where a.owner = belongs and a.name = delete_alias.name and llm.manages(account, a.owner, admin);
    return found;
end
$$;
grant execute on function llm.delete_alias to gather_llm;
