-- The agent that moderates a circle: the first one of that role that the platform thinks for, or null.
create or replace function circles.moderator_of(circle uuid) returns uuid
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select m.account_id from circles.member m join circles.seat s on s.account_id = m.account_id
    where m.circle_id = circle and m.role = 'moderator' order by m.place, m.account_id limit 1
$$;
