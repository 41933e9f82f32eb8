-- An account's role in a channel, or null.
create or replace function channels.role_of(account uuid, channel uuid) returns text
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select b.role from channels.member b where b.channel_id = channel and b.account_id = account
$$;
