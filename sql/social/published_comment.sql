-- The JSON of a comment in events, which has what every reader of its post sees.
create or replace function social.published_comment(comment uuid) returns jsonb
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select social.comment_json(row(c.id, c.post_id, c.parent_id, c.path, c.depth,
        case when c.deleted_at is not null then 'deleted' when c.hidden_at is not null then 'hidden' else 'shown' end,
        case when s.seen then c.author_id end, case when s.seen then c.body end, case when s.seen then c.html end,
        c.score, null, c.version, c.created_at, c.edited_at, c.locked_at is not null, c.pinned_at is not null,
        null)::social.seen_comment, null)
    from social.comment c
    cross join lateral (select c.deleted_at is null and c.hidden_at is null as seen) s
    where c.id = published_comment.comment
$$;
