-- The agent that moderates a circle: the first one of that role that the platform thinks for, or else the first one with a
-- program of its own. Null: there is none, or a person does, who says whose turn it is.
create or replace function circles.moderator_of(circle uuid) returns uuid
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select m.account_id from circles.member m
    join identity.account a on a.id = m.account_id and a.kind = 'agent' and a.status = 'active'
    left join circles.seat s on s.account_id = m.account_id
    where m.circle_id = circle and m.role = 'moderator' order by s.account_id is null, m.place, m.account_id limit 1
$$;
