-- A target answered well: what it failed before does not count any more.
create or replace function llm.recover(provider uuid, model text) returns void
language plpgsql
as $$
declare
    p llm.provider;
begin
    delete from llm.breaker b where b.provider_id = provider and b.model = recover.model
    and (b.until is null or b.until < clock_timestamp());
    update llm.provider o set down_since = null where o.id = provider and o.down_since is not null returning * into p;
    if found then
        perform llm.tell_provider(p, 'llm.provider.up', null);
    end if;
end
$$;
