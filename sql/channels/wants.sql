-- The accounts among some that want notices of what concerns them in a channel: it is neither muted nor silenced. With
-- `every`, those that want a notice of each message.
create or replace function channels.wants(accounts uuid[], channel uuid, every boolean) returns uuid[]
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select array(
        select a.id from unnest(accounts) as a (id)
        left join channels.member b on b.channel_id = channel and b.account_id = a.id
        where coalesce(b.notify, 'mentions') = any (case when every then '{all}' else '{all,mentions}'::text[] end)
        and coalesce(b.muted_until < now(), true))
$$;
