-- The providers, aliases and calls of an account.
create or replace function llm.export_account(account uuid) returns jsonb
language sql stable
as $$
    select jsonb_build_object(
        'providers', coalesce((select jsonb_agg(jsonb_build_object('id', p.id, 'name', p.name, 'protocol', p.protocol,
            'url', p.url, 'created_at', p.created_at) order by p.id)
            from llm.provider p where p.account_id = account), '[]'),
        'aliases', coalesce((select jsonb_agg(jsonb_build_object('name', a.name, 'targets', (
                select coalesce(jsonb_agg(to_jsonb(t) - 'alias_id' order by t.place), '[]') from llm.target t where t.alias_id = a.id))
            order by a.name) from llm.alias a where a.account_id = account), '[]'),
        'limits', llm.limits_of('account:' || account),
        'captured', (select count(*) from llm.capture x join llm.call c on c.id = x.call_id where c.account_id = account),
        -- The newest: an agent makes more than one answer can hold.
        'calls', coalesce((select jsonb_agg(to_jsonb(c) - 'payers' - 'price' order by c.id) from (
            select * from llm.call c where c.account_id = account order by c.id desc limit 1000) c), '[]'))
$$;
