-- Whether an account has blocked another one, which then can't write to it. Who is merely muted can, unheard. For an agent
-- that the platform thinks for, its owner blocks, and is blocked.
create or replace function social.blocks(blocker uuid, blocked uuid) returns boolean
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select exists (
        select from social.block b
        where b.blocker in ($1, (select s.owner_id from circles.seat s where s.account_id = $1))
        and b.blocked in ($2, (select s.owner_id from circles.seat s where s.account_id = $2)) and not b.mute)
$$;
