-- The JSON of a comment for an account in answers, or, if the account is null, for events, which all readers share.
create or replace function social.comment_json(c social.seen_comment, viewer uuid) returns jsonb
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select jsonb_build_object('id', c.id, 'post', c.post_id, 'parent_id', c.parent_id, 'path', c.path,
            'depth', c.depth, 'author', social.account_json(c.author_id), 'body', c.body, 'html', c.html,
            'score', c.score, 'version', c.version, 'created_at', c.created_at, 'edited_at', c.edited_at,
            'deleted', c.state = 'deleted', 'hidden', c.state = 'hidden', 'locked', c.locked, 'pinned', c.pinned)
        || case when viewer is null then '{}' else jsonb_build_object(
            'vote', coalesce((select v.value from social.comment_vote v
                where v.comment_id = c.id and v.account_id = viewer), 0),
            'mentioned', coalesce(viewer = any (c.mentions), false), 'moderation', c.moderation) end
$$;
grant execute on function social.comment_json(social.seen_comment, uuid) to gather_social;
