-- Sets the prices of a provider's model from a moment on. Whether the account may.
--   price   {provider_id, model, input, cached_input, cache_write, output, above, valid_from}
create or replace function llm.put_price(account uuid, admin boolean, price jsonb) returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
    perform identity.require_active(account);
    insert into llm.price (provider_id, model, valid_from, input, cached_input, cache_write, output, above)
    select p.id, price ->> 'model', (price ->> 'valid_from')::timestamptz, (price ->> 'input')::bigint,
        (price ->> 'cached_input')::bigint, (price ->> 'cache_write')::bigint, (price ->> 'output')::bigint,
        nullif(price -> 'above', 'null')
    from llm.provider p
    where p.id = (price ->> 'provider_id')::uuid and (admin or llm.manages(account, p.owner, admin))
    on conflict on constraint price_pkey do update set input = excluded.input, cached_input = excluded.cached_input,
        cache_write = excluded.cache_write, output = excluded.output, above = excluded.above;
    return found;
end
$$;
grant execute on function llm.put_price to gather_llm;
