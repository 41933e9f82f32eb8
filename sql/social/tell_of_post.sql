-- Puts a post into the inboxes of those whom it mentions for the first time.
create or replace function social.tell_of_post(p social.post, told_before uuid[]) returns void
language sql security definer set search_path = pg_catalog, pg_temp
as $$
    select inbox.notify_readers('post:' || p.id, array(select m from unnest(p.mentions) m where m <> all (told_before)),
        'mention', (select a.name from identity.account_name a where a.id = p.author_id) || ' mentioned you in a post',
        left(p.title || E'\n' || p.plain, 200), '/posts/' || p.id, p.author_id, 'post:' || p.id)
$$;
