-- The accounts among some that want notices of a channel: it is neither muted nor silenced.
create or replace function channels.wants(accounts uuid[], channel uuid) returns uuid[]
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select array(
        select a.id from unnest(accounts) as a (id)
        left join channels.member b on b.channel_id = channel and b.account_id = a.id
        where b.notify is distinct from 'none' and coalesce(b.muted_until < now(), true))
$$;
