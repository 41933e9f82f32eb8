-- The targets of a call in their order, without those that cool down, or why there is none.
create or replace function llm.choose(account uuid, name text, payers text[]) returns llm.chosen
language plpgsql stable
as $$
declare
    metered boolean := exists (select from llm.budget b where b.subject = any(payers));
    found record;
    chosen llm.chosen;
begin
    select count(*) as every, count(*) filter (where c.cooling is null) as ready, min(c.cooling) as soonest,
        bool_and(c.reason = 'rate') as rated,
        jsonb_agg(c.target order by c.place) filter (where c.cooling is null and (c.price is not null or not metered)) as targets,
        (array_agg(c.alias_id))[1] as alias_id
    into found from llm.choices(account, name, payers) c;
    if found.every = 0 then
        -- The platform's own model makes vectors, and says nothing.
        chosen.refused := case when exists (
            select from llm.provider p join llm.owners_of(account) o on o.owner = p.owner
            where not p.drain and p.catalogue is distinct from 'local')
            then '{"refused": "model-unknown"}' else '{"refused": "no-provider-configured"}' end;
    elsif found.ready = 0 then
        chosen.refused := jsonb_build_object(
            'refused', case when found.rated then 'provider-rate-limited' else 'provider-overloaded' end,
            'retry_after', greatest(ceil(extract(epoch from found.soonest - clock_timestamp())), 1)::integer);
    elsif found.targets is null then
        chosen.refused := '{"refused": "price-unknown"}';
    else
        chosen.targets := found.targets;
        chosen.alias_id := found.alias_id;
    end if;
    return chosen;
end
$$;
