-- Whether an account may follow `feed:all`.
create or replace function social.may_read_feed(account uuid, id text) returns boolean
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select id = 'all' and exists (select from identity.account a where a.id = account and a.status = 'active')
$$;
