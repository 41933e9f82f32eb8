-- The channels that an account is a member of.
create or replace function memory.ids_conversation(account uuid) returns setof uuid
language sql stable rows 10 security definer set search_path = pg_catalog, pg_temp
as $$
    select b.channel_id from channels.member b where b.account_id = account
$$;
