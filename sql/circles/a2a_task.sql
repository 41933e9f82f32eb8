-- A turn as A2A tells of it to the account that caused it; null if there is none, it is another's, or the account is not
-- active.
create or replace function circles.a2a_task(account uuid, kind text, door uuid, turn uuid) returns jsonb
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select jsonb_build_object('id', t.id, 'conversation', t.channel_id, 'status', e.status, 'reason', e.reason,
        'state', circles.a2a_state(a2a_task.kind, t), 'partial', case when t.finished_at is null then t.partial end,
        'step', case when t.finished_at is null then (select x.number from circles.step x
            where x.turn_id = t.id and x.kind = 'model' order by x.number desc limit 1) end,
        'changed_at', to_char(circles.a2a_changed_at(a2a_task.kind, t) at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
        'cause', (select jsonb_build_object('id', m.id, 'client_id', m.client_id, 'author', a.name, 'body', m.body)
            from channels.readable_message(account) m join identity.account a on a.id = m.author_id where m.id = t.cause_id),
        'replies', (select coalesce(jsonb_agg(jsonb_build_object('id', m.id, 'author', a.name, 'body', m.body) order by m.seq), '[]')
            from channels.readable_message(account) m join identity.account a on a.id = m.author_id
            where m.state = 'shown' and m.id in (select r.reply_id from circles.a2a_run(a2a_task.kind, t) r)))
    from circles.find_turn(account, turn) t
    cross join lateral circles.a2a_end(a2a_task.kind, t) e
    join identity.account o on o.id = a2a_task.account and o.status = 'active'
    join circles.conversation v on v.channel_id = t.channel_id and v.created_by = account and v.door = a2a_task.door
$$;
grant execute on function circles.a2a_task(uuid, text, uuid, uuid) to gather_circles;
