-- The comments that an account may read, as it may read them: those of posts that it may read. The position of a
-- deleted or hidden one stays. It leaves out accounts that the viewer has blocked or muted.
--
-- It has the caller's rights and no settings, so that the planner can inline it.
create or replace function social.readable_comment(viewer uuid) returns setof social.seen_comment
language sql stable
as $$
    select c.id, c.post_id, c.parent_id, c.path, c.depth,
        case when c.deleted_at is not null then 'deleted' when c.hidden_at is not null then 'hidden' else 'shown' end,
        case when s.seen then c.author_id end, case when s.seen then c.body end, case when s.seen then c.html end,
        c.score, case when s.seen then c.mentions end, c.version, c.created_at, c.edited_at, c.locked_at is not null,
        c.pinned_at is not null,
        case when s.seen and (c.hidden_at is not null or c.locked_at is not null) then jsonb_build_object(
            'action', case when c.hidden_at is not null then 'hide' else 'lock' end, 'reason', c.moderated_for) end
    from social.comment c
    cross join lateral (select c.deleted_at is null and (
        c.hidden_at is null or c.author_id = viewer or social.moderates(viewer)) as seen) s
    where exists (select from social.readable_post(viewer) p where p.id = c.post_id)
    -- A `case` hides the list, which the planner would otherwise expect to contain many of the authors.
    and case when c.author_id = any ((select social.shunned(viewer))::uuid[]) then false else true end
$$;
grant execute on function social.readable_comment(uuid) to gather_social;
