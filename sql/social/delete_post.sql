-- Deletes the texts of a post, here and wherever they were copied to, but not its thread. For its author, unless it is
-- hidden or locked, and for moderators.
create or replace function social.delete_post(account uuid, post uuid, is_moderator boolean, client jsonb) returns jsonb
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    p social.post := social.lock_post(account, post, is_moderator);
begin
    if p.id is null then
        return social.refused('post-not-found');
    elsif p.deleted_at is not null then
        return '{"ok": null}';
    elsif p.author_id <> account and not is_moderator then
        return social.refused('forbidden');
    elsif p.author_id = account and (p.hidden_at is not null or p.locked_at is not null) then
        return social.refused('post-locked');
    end if;
    update social.post x set title = '', body = '', html = '', plain = '', words = '', tags = '{}', mentions = '{}',
        pinned_at = null, deleted_at = clock_timestamp(), version = x.version + 1
    where x.id = post;
    delete from social.revision r where r.post_id = post;
    perform social.erase('post:' || post, p.author_id);
    perform events.emit(social.topics_of(post, p.tags), 'post.deleted', jsonb_build_object('id', post, 'deleted', true),
        'post:' || post, account);
    if p.comments = 0 then
        perform events.emit(array['post:' || post], 'access.changed', '{"account": null}', null, account);
    end if;
    if p.author_id <> account then
        perform social.tell_author(p.author_id, account, 'post', 'delete', post, null, client);
    end if;
    return '{"ok": null}';
end
$$;
grant execute on function social.delete_post(uuid, uuid, boolean, jsonb) to gather_social;
