-- The purse: what was set aside is not needed. Whether it was still set aside.
create or replace function llm.release(call uuid) returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    at timestamptz := clock_timestamp();
begin
    perform llm.lock_payers((select c.payers from llm.call c where c.id = release.call), at);
    return llm.book(release.call, 'cancelled', 0, at);
end
$$;
