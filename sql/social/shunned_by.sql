-- The accounts that have blocked or muted an account, and are told nothing of what it does. Null if there are none.
create or replace function social.shunned_by(account uuid) returns uuid[]
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select array_agg(b.blocker) from social.block b where b.blocked = account
$$;
