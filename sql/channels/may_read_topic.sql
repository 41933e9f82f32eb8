-- Whether an account may follow `channel:<id>`. One that is suspended or has left follows nothing.
create or replace function channels.may_read_topic(account uuid, id text) returns boolean
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select channels.may_read(account, platform.uuid_of(may_read_topic.id))
        and exists (select from identity.account a where a.id = account and a.status = 'active')
$$;
