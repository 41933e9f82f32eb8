-- The tasks of an account with a public agent or circle that fit, those that changed last first, with the number of all of
-- them.
--   state  the only state that fits; null: each
--   since  the time from which on they changed; null: whenever
--   after  null, or the time of the change, in microseconds since 1970, and the id of the task after which they begin
create or replace function circles.a2a_tasks(account uuid, kind text, door uuid, context uuid, state text,
    since timestamptz, after_at bigint, after uuid, size integer)
returns table (task jsonb, changed bigint, total bigint)
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    with own as (
        select t.id, (extract(epoch from circles.a2a_changed_at(a2a_tasks.kind, t)) * 1000000)::bigint as changed
        from circles.conversation v join circles.turn t on t.channel_id = v.channel_id
        join channels.message m on m.id = t.cause_id and m.author_id = account
        where v.created_by = account and v.door = a2a_tasks.door and (context is null or v.channel_id = context)
        and (a2a_tasks.state is null or circles.a2a_state(a2a_tasks.kind, t) = a2a_tasks.state)
        and (since is null or circles.a2a_changed_at(a2a_tasks.kind, t) >= since)
        -- The turn that a message has made, and not those that followed from it.
        and t.hops = 0 and t.task_id is null and not exists (select from circles.turn o where o.cause_id = t.cause_id and o.id < t.id)),
    page as (
        select o.id, o.changed from own o where after is null or (o.changed, o.id) < (after_at, after)
        order by o.changed desc, o.id desc limit size)
    select circles.a2a_task(account, kind, door, p.id), p.changed, n.total
    from (select count(*) as total from own) n left join page p on true
    order by p.changed desc, p.id desc
$$;
grant execute on function circles.a2a_tasks(uuid, text, uuid, uuid, text, timestamptz, bigint, uuid, integer) to gather_circles;
