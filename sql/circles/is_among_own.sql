-- Whether nobody reads a conversation but an account and agents of its own that the platform thinks for.
create or replace function circles.is_among_own(channel uuid, account uuid) returns boolean
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select exists (select from channels.channel c where c.id = is_among_own.channel and c.kind <> 'channel')
        and not exists (select from channels.member b
            where b.channel_id = is_among_own.channel and b.account_id <> account and not exists (
                select from circles.seat s where s.account_id = b.account_id and s.owner_id = account))
$$;
