-- The teams and the circles of an account.
create or replace function memory.ids_circle(account uuid) returns setof uuid
language sql stable rows 10 security definer set search_path = pg_catalog, pg_temp
as $$
    select m.team_id from identity.team_member m where m.account_id = account
    union all
    select m.circle_id from circles.member m where m.account_id = account
$$;
