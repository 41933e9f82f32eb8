-- Whether somebody moderates a circle.
create or replace function circles.has_moderator(circle uuid) returns boolean
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select exists (select from circles.member m join identity.account a on a.id = m.account_id and a.status = 'active'
        where m.circle_id = circle and m.role = 'moderator')
$$;
