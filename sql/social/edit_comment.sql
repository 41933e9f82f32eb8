-- Changes the text of a comment, and keeps the former version. Only its author can, and not while it or its post is hidden
-- or locked.
--   new      {body, html, plain, words, names}
--   version  the version that the change was made from; null: any
create or replace function social.edit_comment(account uuid, comment uuid, new jsonb, version integer) returns jsonb
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    before social.comment := social.lock_comment(account, comment);
    after social.comment;
begin
    if before.id is null or before.deleted_at is not null then
        return social.refused('comment-not-found');
    elsif before.author_id <> account then
        return social.refused('forbidden');
    elsif social.closed(before) is not null then
        return social.refused(social.closed(before));
    elsif edit_comment.version <> before.version then
        return social.refused('version-conflict');
    elsif before.body = new ->> 'body' then
        return jsonb_build_object('ok', social.seen_comment_json(account, comment));
    end if;
    insert into social.comment_revision (comment_id, version, body, html, written_at)
    values (comment, before.version, before.body, before.html, coalesce(before.edited_at, before.created_at));
    update social.comment c set body = new ->> 'body', html = new ->> 'html', plain = new ->> 'plain',
        words = new ->> 'words', version = c.version + 1, edited_at = clock_timestamp(),
        mentions = social.mentioned(array(select jsonb_array_elements_text(new -> 'names')), account, c.post_id)
    where c.id = comment returning c.* into after;
    perform events.revise(social.published_comment(comment), 'comment:' || comment);
    perform events.emit(array['post:' || after.post_id], 'comment.changed', social.published_comment(comment),
        'comment:' || comment, account);
    perform inbox.revise('comment:' || comment, left(after.plain, 200));
    perform inbox.take_back(array(select m from unnest(before.mentions) m where m <> all (after.mentions)), 'mention',
        'comment:' || comment);
    perform social.tell_of_comment(after, before.mentions);
    return jsonb_build_object('ok', social.seen_comment_json(account, comment));
end
$$;
grant execute on function social.edit_comment(uuid, uuid, jsonb, integer) to gather_social;
