-- Hides, locks or pins a post, or with a null action undoes all of that. Nobody undoes hide and lock for a post of
-- their own. For moderators; the handler checks the caller's scope.
create or replace function social.moderate_post(account uuid, post uuid, action text, reason text, client jsonb)
returns jsonb
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    p social.post := social.lock_post(account, post, true);
begin
    if p.id is null or p.deleted_at is not null then
        return social.refused('post-not-found');
    elsif p.author_id = account and (p.hidden_at is not null or p.locked_at is not null) then
        return social.refused('own-moderation');
    elsif action = 'pin' and p.pinned_at is null
        and (select count(*) from social.post x where x.pinned_at is not null) >= 50 then
        return social.refused('too-many-pins');
    end if;
    update social.post x set
        hidden_at = case when action = 'hide' then coalesce(x.hidden_at, now())
            when action is not null then x.hidden_at end,
        locked_at = case when action = 'lock' then coalesce(x.locked_at, now())
            when action is not null then x.locked_at end,
        -- A hidden post is in no list.
        pinned_at = case when action = 'pin' and x.hidden_at is null then coalesce(x.pinned_at, now())
            when action = 'lock' then x.pinned_at end,
        moderated_by = case when action is not null then account end,
        moderated_for = case when action = 'pin' then x.moderated_for else reason end, version = x.version + 1
    where x.id = post;
    if action = 'hide' then
        perform social.erase('post:' || post, p.author_id);
        perform events.emit(array['post:' || post], 'access.changed', '{"account": null}');
    end if;
    -- Has no actor, so that accounts that have blocked the moderator are told as well.
    perform events.emit(social.topics_of(post, p.tags),
        case when action = 'hide' then 'post.deleted' else 'post.changed' end, social.published_post(post), 'post:' || post);
    perform social.tell_author(p.author_id, account, 'post', coalesce(action, 'restore'), post, reason, client);
    return jsonb_build_object('ok', social.post_json(social.whole_post(post), account));
end
$$;
grant execute on function social.moderate_post(uuid, uuid, text, text, jsonb) to gather_social;
