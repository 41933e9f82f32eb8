-- Tells an author what a moderator did to a post or a comment, and puts it into the audit.
create or replace function social.tell_author(author uuid, moderator uuid, kind text, action text, id uuid, reason text,
    client jsonb) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    link text := '/posts/' || id;
begin
    if kind = 'comment' then
        select '/posts/' || c.post_id || '?around=' || c.id into link from social.comment c where c.id = tell_author.id;
    end if;
    perform audit.record(moderator, kind || '.' || action, id::text, true, client ->> 'address', client ->> 'request_id',
        jsonb_build_object('author', author, 'reason', reason));
    -- Has no actor, so that a block does not keep it from the author.
    if author <> moderator then
        perform inbox.notify(array[author], 'moderation', format('A %s of yours: %s', kind, case action when 'hide'
                then 'hidden' when 'lock' then 'locked' when 'pin' then 'pinned' when 'delete' then 'deleted'
                else 'restored' end),
            coalesce(reason, ''), link, null, null);
    end if;
end
$$;
