-- Tells that an account may not read another account's posts any more. Posts older than a month have hardly
-- any followers left; a remaining follower is told nothing that the other account does there.
create or replace function social.end_access(account uuid, author uuid) returns void
language sql security definer set search_path = pg_catalog, pg_temp
as $$
    select events.emit(p.topics, 'access.changed', jsonb_build_object('account', end_access.account), null, null)
    from (
        select array_agg('post:' || n.id) as topics
        from (
            select o.id from social.post o
            where o.author_id = end_access.author and o.created_at > now() - interval '31 days'
            order by o.created_at desc limit 1000
        ) n
    ) p
    where p.topics is not null
$$;
