-- A post with its whole content, without checks of the reader.
create or replace function social.whole_post(post uuid) returns social.seen_post
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select row(p.id, case when p.hidden_at is null then 'shown' else 'hidden' end, p.author_id, p.title, p.body, p.html,
        p.tags, p.score, p.comments, p.mentions, p.version, p.created_at, p.edited_at, p.locked_at is not null,
        p.pinned_at is not null,
        case when p.hidden_at is not null or p.locked_at is not null then jsonb_build_object(
            'action', case when p.hidden_at is not null then 'hide' else 'lock' end, 'reason', p.moderated_for) end
        )::social.seen_post
    from social.post p where p.id = whole_post.post
$$;
