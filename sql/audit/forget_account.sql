-- The trail stays as it is: it knows accounts by id, and a change would break its chains.
create or replace function audit.forget_account(account uuid) returns void
language sql
as $$
    select
$$;
