-- The JSON of a conversation.
create or replace function circles.conversation_json(v circles.conversation) returns jsonb
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select jsonb_build_object('id', v.channel_id, 'circle', v.circle_id, 'title', v.title, 'status', v.status, 'limits', v.limits,
        'created_at', c.created_at, 'last_message_at', c.last_message_at,
        'members', (select coalesce(jsonb_agg(circles.account_json(b.account_id) order by b.joined_at, b.account_id), '[]')
            from (select o.* from channels.member o where o.channel_id = c.id
                order by o.joined_at, o.account_id limit 200) b))
    from channels.channel c where c.id = v.channel_id
$$;
grant execute on function circles.conversation_json(circles.conversation) to gather_circles;
