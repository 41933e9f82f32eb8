-- The subjects that pay for a call: the account, its owner if the platform keeps it for one, its API key, whoever else it names, and the owner of each provider that it may reach.
create or replace function llm.payers_of(account uuid, key uuid, named text[], providers uuid[]) returns text[]
language sql stable
as $$
    select array_agg(distinct s.subject order by s.subject) from (
        select 'account:' || account union all
        select 'account:' || s.owner_id from circles.seat s where s.account_id = payers_of.account union all
        select 'key:' || key where key is not null union all
        select unnest(named) union all
        select p.owner from llm.provider p where p.id = any(providers)
    ) s (subject)
$$;
grant execute on function llm.payers_of to gather_llm;
