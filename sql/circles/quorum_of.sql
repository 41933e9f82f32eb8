-- The number of votes that decide a proposal of a circle: as its rules say, and never more than may vote; more than half of
-- these otherwise.
create or replace function circles.quorum_of(circle uuid) returns bigint
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select greatest(least(coalesce((c.rules ->> 'quorum')::bigint, n.voters / 2 + 1), n.voters), 1)
    from circles.circle c cross join lateral (
        select count(*) as voters from circles.member m where m.circle_id = c.id and m.role <> 'observer') n
    where c.id = quorum_of.circle
$$;
