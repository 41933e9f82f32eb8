-- The aliases and models that an account may use, by an API key if it has one: those of its providers that have a price or
-- that the provider listed, as far as the limits of those who would pay allow them.
create or replace function llm.models_of(account uuid, key uuid)
returns table (id text, alias boolean, targets text[], prices jsonb, available boolean)
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    with owners as materialized (select o.owner, o.rank from llm.owners_of(account) o),
    visible as materialized (
        select distinct on (p.name) p.id, p.name, p.owner, p.models, p.catalogue
        from llm.provider p join owners o on o.owner = p.owner where not p.drain order by p.name, o.rank, p.owner
    ), named as (
        select distinct a.name as id, true as alias from llm.alias a join owners o on o.owner = a.owner
        union
        select v.name || '/' || m.model, false from visible v cross join lateral (
            select unnest(v.models) as model
            union select c.model from llm.catalogue c where c.provider = v.catalogue and c.model <> '*' and v.models = '{}'
            union select x.model from llm.price x where x.provider_id = v.id and x.model <> '*') m
    )
    select n.id, n.alias, array_agg(c.provider || '/' || c.model order by c.place),
        (array_agg(case when c.price is not null then jsonb_build_object('input_microusd', c.price -> 'input',
            'cached_input_microusd', c.price -> 'cached_input', 'cache_write_microusd', c.price -> 'cache_write',
            'output_microusd', c.price -> 'output') end order by c.place))[1],
        bool_or(c.cooling is null)
    from named n cross join lateral llm.choices(account, n.id, llm.payers_of(account, key, '{}',
        array(select r.provider_id from llm.resolve(account, n.id) r))) c
    group by n.id, n.alias
$$;
grant execute on function llm.models_of to gather_llm;
