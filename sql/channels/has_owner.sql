-- Whether a channel has an active owner, other than one account.
create or replace function channels.has_owner(channel uuid, but uuid default null) returns boolean
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select exists (
        select from channels.member b join identity.account a on a.id = b.account_id
        where b.channel_id = channel and b.role = 'owner' and b.account_id is distinct from but
        and a.status = 'active')
$$;
