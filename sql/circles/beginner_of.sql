-- The account that has begun what a message belongs to: of a reply, the one that its turn answers in the end.
create or replace function circles.beginner_of(message uuid) returns uuid
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    with recursive chain as (
        select m.id, m.author_id, m.client_id, m.channel_id, 0 as depth from channels.message m where m.id = message
        union all
        select m.id, m.author_id, m.client_id, m.channel_id, c.depth + 1
        from chain c
        join circles.turn t on t.id = platform.uuid_of(c.client_id) and t.agent_id = c.author_id and t.channel_id = c.channel_id
        join channels.message m on m.id = t.cause_id
        where c.depth < 100)
    select c.author_id from chain c order by c.depth desc limit 1
$$;
