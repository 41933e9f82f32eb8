-- Whether an account may read the topic `all:all` of all events: none may but administrators.
create or replace function events.may_read_all(account uuid, id text) returns boolean
language sql immutable set search_path = pg_catalog, pg_temp
as $$
    select false
$$;
