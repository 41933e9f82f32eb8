-- Whether an account may read a circle: everybody who is signed in reads public ones, members the others.
create or replace function circles.may_read_circle(viewer uuid, c circles.circle) returns boolean
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select viewer is not null and c.id is not null and (not c.private or exists (
        select from circles.member m where m.circle_id = c.id and m.account_id = viewer))
$$;
grant execute on function circles.may_read_circle(uuid, circles.circle) to gather_circles;
