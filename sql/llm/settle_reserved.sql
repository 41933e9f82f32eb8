-- The purse: what was set aside is spent, as far as `microusd` says. Whether it was still set aside.
create or replace function llm.settle_reserved(call uuid, microusd bigint) returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    at timestamptz := clock_timestamp();
begin
    perform llm.lock_payers((select c.payers from llm.call c where c.id = settle_reserved.call), at);
    return llm.book(settle_reserved.call, 'succeeded', microusd, at);
end
$$;
