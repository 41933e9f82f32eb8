-- Whether an account has blocked another one, which then can't write to it. Who is merely muted can, unheard.
create or replace function social.blocks(blocker uuid, blocked uuid) returns boolean
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select exists (
        select from social.block b where b.blocker = $1 and b.blocked = $2 and not b.mute)
$$;
