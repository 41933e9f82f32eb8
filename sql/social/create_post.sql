-- Writes a post.
--   new  {title, title_words, tags, body, html, plain, words, names}
create or replace function social.create_post(account uuid, new jsonb) returns jsonb
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    posted social.post;
    tags text[] := array(select jsonb_array_elements_text(new -> 'tags'));
    refused jsonb;
begin
    if not social.is_active(account) then
        return social.refused('inactive');
    end if;
    refused := social.wait_ms(account);
    if refused is not null then
        return refused;
    end if;
    insert into social.post as p (author_id, title, body, html, plain, words, tags)
    values (account, new ->> 'title', new ->> 'body', new ->> 'html', new ->> 'plain',
        social.words_of('', tags, new), tags)
    returning p.* into posted;
    update social.post p set mentions = social.mentioned(
        array(select jsonb_array_elements_text(new -> 'names')), account, posted.id)
    where p.id = posted.id returning p.* into posted;
    perform events.emit(social.topics_of(posted.id, posted.tags), 'post.created', social.published_post(posted.id),
        'post:' || posted.id, account);
    perform social.tell_of_post(posted, '{}');
    return jsonb_build_object('ok', social.seen_post_json(account, posted.id));
end
$$;
grant execute on function social.create_post(uuid, jsonb) to gather_social;
