-- Whether an account sees what is hidden in a channel: by its role there, or by the scope.
create or replace function channels.moderates(viewer uuid, channel uuid) returns boolean
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select coalesce(channels.role_of(viewer, channel) in ('owner', 'moderator'), false)
        or identity.allows(viewer, 'social:moderate')
$$;
grant execute on function channels.moderates(uuid, uuid) to gather_channels;
