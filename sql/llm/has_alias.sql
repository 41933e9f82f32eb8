-- Whether an owner's alias may have another one of this name as a target.
create or replace function llm.has_alias(account uuid, owner text, name text) returns boolean
language sql stable
as $$
    select exists (
        select from llm.alias a
        where a.name = has_alias.name and (
            a.owner in (has_alias.owner, 'platform')
            or has_alias.owner like 'account:%' and a.owner in (select o.owner from llm.owners_of(account) o)))
$$;
