-- The messages that an account may read, as it may read them. This is the only definition: history, search, counts,
-- pins and exports use it. It leaves out accounts that the viewer has blocked or muted.
--
-- It has the caller's rights and no settings, so that the planner can inline it.
create or replace function channels.readable_message(viewer uuid) returns setof channels.readable
language sql stable
as $$
    select m.id, m.channel_id, m.seq,
        case when m.deleted_at is not null then 'deleted' when m.hidden_at is not null then 'hidden' else 'shown' end,
        case when s.seen then m.author_id end, case when s.seen then m.body end, case when s.seen then m.html end,
        case when s.seen then m.plain end, m.reply_to, case when s.seen then m.client_id end,
        case when s.seen then m.mentions end, s.seen and m.mentions_all, m.version, m.created_at, m.edited_at,
        m.locked_at is not null,
        case when s.seen and (m.hidden_at is not null or m.locked_at is not null) then jsonb_build_object(
            'action', case when m.hidden_at is not null then 'hide' else 'lock' end, 'reason', m.moderated_for) end
    from channels.message m
    cross join lateral (select m.deleted_at is null and (
        m.hidden_at is null or m.author_id = viewer or channels.moderates(viewer, m.channel_id)) as seen) s
    where viewer is not null
    and exists (
        select from channels.channel c
        where c.id = m.channel_id and (not c.private or exists (
            select from channels.member b where b.channel_id = c.id and b.account_id = viewer)))
    and (m.visible_to is null or viewer = any (m.visible_to) or m.author_id = viewer)
    -- A `case` hides the list, which the planner would otherwise expect to contain many of the authors.
    and case when m.author_id = any ((select social.shunned(viewer))::uuid[]) then false else true end
$$;
grant execute on function channels.readable_message(uuid) to gather_channels;
