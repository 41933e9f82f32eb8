-- Whether an account may read the topic of an account: its own.
create or replace function events.may_read_account(account uuid, id text) returns boolean
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select account is not null and id = account::text
$$;
