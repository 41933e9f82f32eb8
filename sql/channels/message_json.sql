-- The JSON of a message for an account in answers, or, if the account is null, for events, which all readers share.
create or replace function channels.message_json(m channels.readable, viewer uuid) returns jsonb
language plpgsql stable security definer set search_path = pg_catalog, pg_temp
as $$
declare
    reactions jsonb;
    shunned uuid[] := social.shunned(viewer);
begin
    select jsonb_agg(jsonb_build_object('emoji', r.emoji, 'count', r.count)
        || case when viewer is null then '{}' else jsonb_build_object('me', r.me) end order by r.since, r.emoji)
    into reactions
    from (
        select x.emoji, count(*) as count, bool_or(x.account_id = viewer) as me, min(x.created_at) as since
        from channels.reaction x where x.message_id = m.id and x.account_id <> all (shunned)
        group by x.emoji
    ) r;
    return jsonb_build_object('id', m.id, 'channel', m.channel_id, 'seq', m.seq,
            'author', channels.account_json(m.author_id), 'body', m.body, 'html', m.html, 'reply_to', m.reply_to,
            'client_id', m.client_id, 'version', m.version, 'created_at', m.created_at, 'edited_at', m.edited_at,
            'deleted', m.state = 'deleted', 'hidden', m.state = 'hidden', 'locked', m.locked,
            'pinned', exists (select from channels.pin p where p.message_id = m.id),
            'reactions', coalesce(reactions, '[]'))
        || case when viewer is null then '{}' else jsonb_build_object(
            'mentioned', coalesce(viewer = any (m.mentions) or m.mentions_all, false), 'moderation', m.moderation) end;
end
$$;
grant execute on function channels.message_json(channels.readable, uuid) to gather_channels;
