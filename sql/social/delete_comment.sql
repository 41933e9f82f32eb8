-- Deletes the text of a comment, here and wherever it was copied to, but not its position. For its author, unless it or
-- its post is hidden or locked, and for moderators.
create or replace function social.delete_comment(account uuid, comment uuid, is_moderator boolean, client jsonb)
returns jsonb
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    c social.comment := social.lock_comment(account, comment, is_moderator);
begin
    if c.id is null then
        return social.refused('comment-not-found');
    elsif c.deleted_at is not null then
        return '{"ok": null}';
    elsif c.author_id <> account and not is_moderator then
        return social.refused('forbidden');
    elsif c.author_id = account and social.closed(c) is not null then
        return social.refused(social.closed(c));
    end if;
    update social.comment x set body = '', html = '', plain = '', words = '', mentions = '{}', pinned_at = null,
        deleted_at = clock_timestamp(), version = x.version + 1
    where x.id = comment;
    delete from social.comment_revision r where r.comment_id = comment;
    perform social.erase('comment:' || comment, c.author_id);
    perform events.emit(array['post:' || c.post_id], 'comment.deleted',
        jsonb_build_object('id', comment, 'post', c.post_id, 'path', c.path, 'deleted', true), 'comment:' || comment,
        account);
    if c.author_id <> account then
        perform social.tell_author(c.author_id, account, 'comment', 'delete', comment, null, client);
    end if;
    return '{"ok": null}';
end
$$;
grant execute on function social.delete_comment(uuid, uuid, boolean, jsonb) to gather_social;
