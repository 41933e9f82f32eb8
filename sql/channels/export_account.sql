-- The data of an account here: memberships, messages that it wrote and may read, and reactions.
create or replace function channels.export_account(account uuid) returns jsonb
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select jsonb_build_object(
        'channels', coalesce((
            select jsonb_agg(jsonb_build_object('id', c.id, 'kind', c.kind, 'name', c.name, 'role', b.role,
                'joined_at', b.joined_at, 'notify', b.notify, 'read_at', b.read_at) order by c.id)
            from channels.member b join channels.channel c on c.id = b.channel_id where b.account_id = account), '[]'),
        'messages', coalesce((
            select jsonb_agg(jsonb_build_object('id', m.id, 'channel', m.channel_id, 'body', m.body,
                'created_at', m.created_at, 'edited_at', m.edited_at) order by m.created_at)
            from channels.message own join channels.readable_message(account) m on m.id = own.id
            where own.author_id = account and m.state <> 'deleted'), '[]'),
        'reactions', coalesce((
            select jsonb_agg(jsonb_build_object('message', r.message_id, 'emoji', r.emoji, 'at', r.created_at)
                order by r.created_at)
            from channels.reaction r where r.account_id = account), '[]'))
$$;
