-- Whether an account may read the events of a hook: its owner may.
create or replace function webhooks.may_read_topic(account uuid, id text) returns boolean
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select exists (
        select from webhooks.hook h
        where h.id = platform.uuid_of(may_read_topic.id)
        and h.owner_id = account)
$$;
