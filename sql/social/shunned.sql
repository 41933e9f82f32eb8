-- The accounts that an account has blocked or muted, of which it sees nothing.
create or replace function social.shunned(viewer uuid) returns uuid[]
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select array(select b.blocked from social.block b where b.blocker = viewer)
$$;
grant execute on function social.shunned(uuid) to gather_social, gather_channels;
