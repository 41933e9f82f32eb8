-- The prices of a provider's model: its owner's, or else the public ones. Null: there is none.
create or replace function llm.price_of(of_provider uuid, model text) returns jsonb
language sql stable
as $$
    select coalesce(
        (select jsonb_build_object('input', p.input, 'cached_input', coalesce(p.cached_input, p.input),
            'cache_write', coalesce(p.cache_write, p.input), 'output', p.output, 'above', p.above)
        from llm.price p
        where p.provider_id = of_provider and p.model in (price_of.model, '*') and p.valid_from <= clock_timestamp()
        order by p.model = '*', p.valid_from desc limit 1),
        (select jsonb_build_object('input', c.input, 'cached_input', coalesce(c.cached_input, c.input),
            'cache_write', coalesce(c.cache_write, c.input), 'output', c.output, 'above', c.above,
            'max_output', c.max_output)
        from llm.provider o join llm.catalogue c on c.provider = o.catalogue
        where o.id = of_provider and c.model in (price_of.model, '*')
        order by c.model = '*' limit 1))
$$;
