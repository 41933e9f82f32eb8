-- Changes the text of a post. Only its author can, and not while it is hidden or locked. The former text is kept.
--   change   any of {title, title_words, tags} and {body, html, plain, words, names}
--   version  the version that the change was made from; null: any
create or replace function social.edit_post(account uuid, post uuid, change jsonb, version integer) returns jsonb
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    before social.post := social.lock_post(account, post);
    after social.post;
begin
    if before.id is null or before.deleted_at is not null then
        return social.refused('post-not-found');
    elsif before.author_id <> account then
        return social.refused('forbidden');
    elsif before.hidden_at is not null or before.locked_at is not null then
        return social.refused('post-locked');
    elsif edit_post.version <> before.version then
        return social.refused('version-conflict');
    end if;
    after := before;
    after.title := coalesce(change ->> 'title', before.title);
    after.body := coalesce(change ->> 'body', before.body);
    if change ? 'tags' then
        after.tags := array(select jsonb_array_elements_text(change -> 'tags'));
    end if;
    if (after.title, after.body, after.tags) is not distinct from (before.title, before.body, before.tags) then
        return jsonb_build_object('ok', social.seen_post_json(account, post));
    end if;
    if change ? 'names' then
        after.mentions := social.mentioned(array(select jsonb_array_elements_text(change -> 'names')), account, post);
    end if;
    insert into social.revision (post_id, version, title, body, html, tags, written_at)
    values (post, before.version, before.title, before.body, before.html, before.tags,
        coalesce(before.edited_at, before.created_at));
    update social.post p set title = after.title, body = after.body, tags = after.tags, mentions = after.mentions,
        html = coalesce(change ->> 'html', p.html), plain = coalesce(change ->> 'plain', p.plain),
        words = social.words_of(p.words, after.tags, change), version = p.version + 1, edited_at = clock_timestamp()
    where p.id = post returning p.* into after;
    perform events.revise(social.published_post(post), 'post:' || post);
    perform events.emit(social.topics_of(post, before.tags || after.tags), 'post.changed', social.published_post(post),
        'post:' || post, account);
    perform inbox.revise('post:' || post, left(after.title || E'\n' || after.plain, 200));
    perform inbox.take_back(array(select m from unnest(before.mentions) m where m <> all (after.mentions)), 'mention',
        'post:' || post);
    perform social.tell_of_post(after, before.mentions);
    return jsonb_build_object('ok', social.seen_post_json(account, post));
end
$$;
grant execute on function social.edit_post(uuid, uuid, jsonb, integer) to gather_social;
