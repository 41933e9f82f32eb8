-- A conversation that an account may read, or no row. A direct channel with an agent that the platform thinks for is one
-- too, which has no row of its own.
create or replace function circles.find_conversation(viewer uuid, channel uuid) returns setof circles.conversation
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select v.* from circles.conversation v
    where v.channel_id = channel and channels.may_read(viewer, channel)
    union all
    select (circles.as_conversation(c)).* from channels.channel c
    where c.id = channel and c.kind = 'direct' and circles.is_conversation(c) and channels.may_read(viewer, channel)
$$;
grant execute on function circles.find_conversation(uuid, uuid) to gather_circles;
