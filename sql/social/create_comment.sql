-- Comments on a post, or answers another comment of it.
--   new  {body, html, plain, words, names, parent_id}
create or replace function social.create_comment(account uuid, post uuid, new jsonb) returns jsonb
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    p social.post := social.lock_post(account, post);
    parent social.comment;
    written social.comment;
begin
    if p.id is null or p.deleted_at is not null then
        return social.refused('post-not-found');
    elsif p.hidden_at is not null or p.locked_at is not null then
        return social.refused('post-locked');
    end if;
    if new ->> 'parent_id' is not null then
        select c.* into parent from social.comment c
        where c.id = (new ->> 'parent_id')::uuid and c.post_id = post and c.deleted_at is null
        and exists (select from social.readable_comment(account) r where r.id = c.id);
        if parent.id is null then
            return social.refused('parent-not-found');
        elsif parent.hidden_at is not null or parent.locked_at is not null then
            return social.refused('comment-locked');
        end if;
    end if;
    update social.post x set last_comment = x.last_comment + 1 where x.id = post returning x.* into p;
    written.path := coalesce(parent.path, '') || social.segment(p.last_comment);
    -- The path is part of an index, whose entries are small.
    if parent.depth >= 500 or octet_length(written.path) > 2600 then
        return social.refused('too-deep');
    end if;
    insert into social.comment as c
        (post_id, parent_id, author_id, path, depth, body, html, plain, words, mentions)
    values (post, parent.id, account, written.path, coalesce(parent.depth + 1, 0), new ->> 'body', new ->> 'html',
        new ->> 'plain', new ->> 'words',
        social.mentioned(array(select jsonb_array_elements_text(new -> 'names')), account, post))
    returning c.* into written;
    perform events.emit(array['post:' || post], 'comment.created', social.published_comment(written.id),
        'comment:' || written.id, account);
    perform social.tell_of_comment(written, '{}');
    return jsonb_build_object('ok', social.seen_comment_json(account, written.id));
end
$$;
grant execute on function social.create_comment(uuid, uuid, jsonb) to gather_social;
