-- The tasks of an account with a public agent or circle, the newest first, with the number of all of them.
create or replace function circles.a2a_tasks(account uuid, kind text, door uuid, context uuid, after uuid, size integer)
returns table (task jsonb, total bigint)
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    with own as (
        select t.id
        from circles.conversation v join circles.turn t on t.channel_id = v.channel_id
        join channels.message m on m.id = t.cause_id and m.author_id = account
        where v.created_by = account and v.door = a2a_tasks.door and (context is null or v.channel_id = context)
        and t.hops = 0 and not exists (select from circles.turn o where o.cause_id = t.cause_id and o.id < t.id))
    select circles.a2a_task(account, kind, door, p.id), (select count(*) from own)
    from (select o.id from own o where after is null or o.id < after order by o.id desc limit size) p
    order by p.id desc
$$;
grant execute on function circles.a2a_tasks(uuid, text, uuid, uuid, uuid, integer) to gather_circles;
