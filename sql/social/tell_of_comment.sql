-- Puts a comment into the inboxes of those whom it mentions for the first time, and of the author of what it answers.
create or replace function social.tell_of_comment(c social.comment, told_before uuid[]) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    author text := (select a.name from identity.account_name a where a.id = c.author_id);
    link text := '/posts/' || c.post_id || '?around=' || c.id;
    mentioned uuid[] := array(select m from unnest(c.mentions) m where m <> all (told_before));
    answered uuid;
begin
    perform inbox.notify_readers('post:' || c.post_id, mentioned, 'mention', author || ' mentioned you in a comment',
        left(c.plain, 200), link, c.author_id, 'comment:' || c.id);
    if c.version = 1 then
        select coalesce(
            (select p.author_id from social.comment p where p.id = c.parent_id and p.deleted_at is null),
            (select p.author_id from social.post p where p.id = c.post_id and p.deleted_at is null and c.parent_id is null))
        into answered;
        if answered <> all (mentioned || c.author_id) then
            perform inbox.notify_readers('post:' || c.post_id, array[answered], 'reply',
                author || case when c.parent_id is null then ' commented on your post' else ' replied to you' end,
                left(c.plain, 200), link, c.author_id, 'comment:' || c.id);
        end if;
    end if;
end
$$;
