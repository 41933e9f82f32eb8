-- An account's role in a circle, or null.
create or replace function circles.role_of(account uuid, circle uuid) returns text
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select m.role from circles.member m where m.circle_id = circle and m.account_id = account
$$;
