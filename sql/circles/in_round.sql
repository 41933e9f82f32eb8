-- The agents of a circle that are asked where all speak, by their places: those that the platform thinks for, and members with
-- programs of their own. Its owners lead it, and are asked where they are addressed. Nobody is asked who has begun it all.
create or replace function circles.in_round(c circles.circle, beginner uuid) returns uuid[]
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select array(select m.account_id from circles.member m
        join identity.account a on a.id = m.account_id and a.kind = 'agent' and a.status = 'active'
        left join circles.seat s on s.account_id = m.account_id
        where m.circle_id = c.id and m.role <> 'observer' and m.account_id is distinct from beginner
        and case when s.account_id is null then m.role <> 'owner' else s.state <> 'stopped' end
        order by m.place, m.account_id)
$$;
