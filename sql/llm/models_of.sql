-- The aliases and models that an account may use, by an API key if it has one: those of its providers that have a price or
-- that the provider listed, as far as the limits of those who would pay allow them.
--   wanted   only the one of this name; null: all
create or replace function llm.models_of(account uuid, key uuid, wanted text)
returns table (id text, alias boolean, targets text[], prices jsonb, available boolean)
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    with owners as materialized (select o.owner, o.rank from llm.owners_of(account) o),
    -- Of several providers of one name the first owner's counts, though it be drained.
    visible as materialized (
        select distinct on (p.name) p.id, p.name, p.models, p.catalogue, p.drain, llm.payers_of(account, key, '{}', array[p.id]) as payers
        from llm.provider p join owners o on o.owner = p.owner
        where wanted is null or p.name = split_part(wanted, '/', 1) order by p.name, o.rank, p.owner
    ), plain as (
        select v.id as provider_id, v.name || '/' || m.model as id, m.model, v.payers
        from visible v cross join lateral (
            select unnest(v.models) as model
            union select c.model from llm.catalogue c where c.provider = v.catalogue and c.model <> '*' and v.models = '{}'
            union select x.model from llm.price x where x.provider_id = v.id and x.model <> '*') m
        where not v.drain and (wanted is null or v.name || '/' || m.model = wanted)
    ), named as (
        select distinct a.name from llm.alias a join owners o on o.owner = a.owner where wanted is null or a.name = wanted
    ), found as (
        select p.id, false as alias, array[p.id] as targets, llm.price_of(p.provider_id, p.model) as price, not exists (
            select from llm.breaker b
            where b.provider_id = p.provider_id and b.model = p.model and b.until > clock_timestamp()) as available
        from plain p where llm.may_use(p.payers, p.id)
        union all
        select n.name, true, array_agg(c.provider || '/' || c.model order by c.place),
            (array_agg(c.price order by c.place))[1], bool_or(c.cooling is null)
        from named n cross join lateral llm.choices(account, n.name, llm.payers_of(account, key, '{}',
            array(select r.provider_id from llm.resolve(account, n.name) r))) c
        group by n.name
    )
    select f.id, f.alias, f.targets, case when f.price is not null then jsonb_build_object(
        'input_microusd', f.price -> 'input', 'cached_input_microusd', f.price -> 'cached_input',
        'cache_write_microusd', f.price -> 'cache_write', 'output_microusd', f.price -> 'output') end, f.available
    from found f
$$;
grant execute on function llm.models_of to gather_llm;
