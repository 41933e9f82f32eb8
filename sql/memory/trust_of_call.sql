-- The trust that the answer to a call of a model has for the account that made it.
create or replace function memory.trust_of_call(account uuid, id text) returns text
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select 'tool' from llm.call c where c.id = platform.uuid_of(trust_of_call.id) and c.account_id = account
$$;
