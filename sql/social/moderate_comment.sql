-- Hides, locks or pins a comment, or with a null action undoes all of that. Nobody undoes hide and lock for a comment
-- of their own. For moderators; the handler checks the caller's scope.
create or replace function social.moderate_comment(account uuid, comment uuid, action text, reason text, client jsonb)
returns jsonb
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    c social.comment := social.lock_comment(account, comment, true);
begin
    if c.id is null or c.deleted_at is not null then
        return social.refused('comment-not-found');
    elsif c.author_id = account and (c.hidden_at is not null or c.locked_at is not null) then
        return social.refused('own-moderation');
    end if;
    update social.comment x set
        hidden_at = case when action = 'hide' then coalesce(x.hidden_at, now())
            when action is not null then x.hidden_at end,
        locked_at = case when action = 'lock' then coalesce(x.locked_at, now())
            when action is not null then x.locked_at end,
        pinned_at = case when action = 'pin' and x.hidden_at is null then coalesce(x.pinned_at, now())
            when action = 'lock' then x.pinned_at end,
        moderated_by = case when action is not null then account end,
        moderated_for = case when action = 'pin' then x.moderated_for else reason end, version = x.version + 1
    where x.id = comment;
    if action = 'hide' then
        perform social.erase('comment:' || comment, c.author_id);
    end if;
    -- Has no actor, so that accounts that have blocked the moderator are told as well.
    perform events.emit(array['post:' || c.post_id], 'comment.changed', social.published_comment(comment),
        'comment:' || comment);
    perform social.tell_author(c.author_id, account, 'comment', coalesce(action, 'restore'), comment, reason, client);
    return jsonb_build_object('ok', coalesce(social.seen_comment_json(account, comment),
        social.published_comment(comment)));
end
$$;
grant execute on function social.moderate_comment(uuid, uuid, text, text, jsonb) to gather_social;
