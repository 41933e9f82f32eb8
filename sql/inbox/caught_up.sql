-- The accounts among some that have no unread item of a kind about a topic.
create or replace function inbox.caught_up(accounts uuid[], kind text, topic text) returns uuid[]
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select array(
        select a.id from unnest(accounts) as a (id)
        where not exists (
            select from inbox.item i
            where i.topic = caught_up.topic and i.account_id = a.id and i.kind = caught_up.kind and i.state = 'unread'))
$$;
