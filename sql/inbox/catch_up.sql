-- Marks as read what an account was told, in one kind, about a topic that it has now looked at.
create or replace function inbox.catch_up(account uuid, kind text, topic text) returns void
language sql security definer set search_path = pg_catalog, pg_temp
as $$
    select inbox.mark(catch_up.account, u.ids, null, 'read', false)
    from (
        select array_agg(i.id) as ids from inbox.item i
        where i.topic = catch_up.topic and i.account_id = catch_up.account and i.kind = catch_up.kind
        and i.state = 'unread'
    ) u
    where u.ids is not null
$$;
