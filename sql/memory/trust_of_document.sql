-- The trust that a document has for an account that names it: nobody knows who wrote it.
create or replace function memory.trust_of_document(account uuid, id text) returns text
language sql immutable
as $$
    select 'stranger'
$$;
