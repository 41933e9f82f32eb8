-- The subscriptions that match an event, whether their owners may read its topic or not.
create or replace function events.wanting(e events.event) returns setof events.subscription
language sql stable
as $$
    select s.* from (
        select * from events.subscription s where s.topics && array[(wanting.e).topic, 'all:all']
        union all
        select * from events.subscription s
        where s.topics is null and s.types && events.patterns((wanting.e).type)
    ) s
    where (wanting.e).type <> 'access.changed'
    and (s.types is null or s.types && events.patterns((wanting.e).type))
    and (s.condition is null or (wanting.e).data @> s.condition)
    and ((wanting.e).audience is null or s.owner = any ((wanting.e).audience))
    and not coalesce(s.owner = any (events.shunned_by(wanting.e)), false)
    and (s.since is null or not pg_visible_in_snapshot((wanting.e).xid, s.since))
    and exists (select from identity.account a where a.id = s.owner and a.status = 'active')
$$;
