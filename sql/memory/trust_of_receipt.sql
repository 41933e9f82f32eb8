-- The trust that the answer of a skill has. Receipts are kept by whoever called, so none can be looked up.
create or replace function memory.trust_of_receipt(account uuid, id text) returns text
language sql immutable
as $$
    select 'tool'
$$;
