-- Whether an account sees what is hidden.
create or replace function social.moderates(viewer uuid) returns boolean
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select identity.allows(viewer, 'social:moderate')
$$;
grant execute on function social.moderates(uuid) to gather_social;
