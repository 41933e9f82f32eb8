-- The JSON of a post for an account in answers, or, if the account is null, for events, which all readers share.
create or replace function social.post_json(p social.seen_post, viewer uuid) returns jsonb
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select jsonb_build_object('id', p.id, 'title', p.title, 'author', social.account_json(p.author_id), 'body', p.body,
            'html', p.html, 'tags', p.tags, 'score', p.score, 'comments', p.comments, 'version', p.version,
            'created_at', p.created_at, 'edited_at', p.edited_at, 'deleted', p.state = 'deleted',
            'hidden', p.state = 'hidden', 'locked', p.locked, 'pinned', p.pinned)
        || case when viewer is null then '{}' else jsonb_build_object(
            'vote', coalesce((select v.value from social.post_vote v
                where v.post_id = p.id and v.account_id = viewer), 0),
            'mentioned', coalesce(viewer = any (p.mentions), false), 'moderation', p.moderation) end
$$;
grant execute on function social.post_json(social.seen_post, uuid) to gather_social;
