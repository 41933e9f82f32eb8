-- Strikes out a former version of a comment, such as one with a password in it: nobody reads it any more. For its author
-- and moderators.
create or replace function social.strike_comment_revision(account uuid, comment uuid, version integer,
    is_moderator boolean, client jsonb) returns jsonb
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    read jsonb := social.comment_revisions(account, comment, is_moderator);
begin
    if read ? 'refused' then
        return read;
    end if;
    update social.comment_revision r set body = '', html = '', struck_at = now()
    where r.comment_id = comment and r.version = strike_comment_revision.version and r.struck_at is null;
    if found then
        perform audit.record(account, 'comment.revision-struck', comment::text, true, client ->> 'address',
            client ->> 'request_id', jsonb_build_object('version', strike_comment_revision.version));
    elsif not exists (select from social.comment_revision r
            where r.comment_id = comment and r.version = strike_comment_revision.version) then
        return social.refused('comment-not-found');
    end if;
    return '{"ok": null}';
end
$$;
grant execute on function social.strike_comment_revision(uuid, uuid, integer, boolean, jsonb) to gather_social;
