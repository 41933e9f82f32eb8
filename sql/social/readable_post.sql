-- The posts that an account, or a stranger (null), may read, as it may read them. This is the only definition: feed,
-- search, threads, topics, reports and exports use it. Everybody reads all posts, except hidden ones, which only their
-- author and moderators read, and those of accounts that the viewer has blocked or muted. A deleted post is shown as
-- long as its thread has something to show.
--
-- It has the caller's rights and no settings, so that the planner can inline it.
create or replace function social.readable_post(viewer uuid) returns setof social.seen_post
language sql stable
as $$
    select p.id,
        case when p.deleted_at is not null then 'deleted' when p.hidden_at is not null then 'hidden' else 'shown' end,
        case when s.seen then p.author_id end, case when s.seen then p.title end, case when s.seen then p.body end,
        case when s.seen then p.html end, p.tags, p.score, p.comments, case when s.seen then p.mentions end, p.version,
        p.created_at, p.edited_at, p.locked_at is not null, p.pinned_at is not null,
        case when s.seen and (p.hidden_at is not null or p.locked_at is not null) then jsonb_build_object(
            'action', case when p.hidden_at is not null then 'hide' else 'lock' end, 'reason', p.moderated_for) end
    from social.post p
    cross join lateral (select p.deleted_at is null as seen) s
    where (p.deleted_at is null or p.comments > 0)
    and (p.hidden_at is null or p.author_id = viewer or social.moderates(viewer))
    -- A `case` hides the list, which the planner would otherwise expect to contain many of the authors.
    and case when p.author_id = any ((select social.shunned(viewer))::uuid[]) then false else true end
$$;
grant execute on function social.readable_post(uuid) to gather_social;
