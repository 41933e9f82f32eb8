-- The provider of this name that an owner's alias may have as a target, its own first; null: there is none.
create or replace function llm.provider_called(account uuid, owner text, name text) returns uuid
language sql stable
as $$
    select p.id from llm.provider p
    where p.name = provider_called.name and (
        p.owner in (provider_called.owner, 'platform')
        or provider_called.owner like 'account:%' and p.owner in (select o.owner from llm.owners_of(account) o))
    order by p.owner = provider_called.owner desc, p.owner = 'platform', p.owner limit 1
$$;
