-- The account that holds an address; null if there is none, or several claim it and none has proved it.
create or replace function identity.holder_of(email text) returns uuid
language sql stable
as $$
    select (array_agg(c.id))[1] from identity.claims_of(holder_of.email) as c (id) having count(*) = 1
$$;
